/*
 * What Coppice runs inside containers of Docker and Podman, whatever the image holds: no libc, no dynamic linking.
 *
 *     inside pause              idles until SIGTERM or SIGINT, and leaves no zombies
 *     inside kill SIGNAL WORD   a signal to what was started with the environment entry WORD; SIGKILL to all that has it
 *     inside remove             removes what is named on standard input, NUL-terminated; never through a link
 *     inside rename FROM TO     ends with the number of the error, 0 when it was done
 *
 * Compiled into inside.ts by scripts/inside.mjs.
 */
typedef long i64;
typedef unsigned long u64;
typedef unsigned char u8;

#if defined(__x86_64__)
enum { sysRead = 0, sysClose = 3, sysSigaction = 13, sysGetpid = 39, sysExit = 60, sysKill = 62, sysGetdents = 217, sysOpenat = 257, sysUnlinkat = 263, sysRenameat2 = 316, sysPpoll = 271, oNoFollow = 0400000, oDirectory = 0200000 };
static inline i64 call(i64 n, i64 a, i64 b, i64 c, i64 d, i64 e) {
  i64 r;
  register i64 r10 __asm__("r10") = d;
  register i64 r8 __asm__("r8") = e;
  __asm__ volatile("syscall" : "=a"(r) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8) : "rcx", "r11", "memory");
  return r;
}
__asm__(".globl _start\n_start:\n  mov %rsp, %rdi\n  and $-16, %rsp\n  call begin\n");
#define RESTORER 0x04000000
#elif defined(__aarch64__)
enum { sysRead = 63, sysClose = 57, sysSigaction = 134, sysGetpid = 172, sysExit = 93, sysKill = 129, sysGetdents = 61, sysOpenat = 56, sysUnlinkat = 35, sysRenameat2 = 276, sysPpoll = 73, oNoFollow = 0100000, oDirectory = 040000 };
static inline i64 call(i64 n, i64 a, i64 b, i64 c, i64 d, i64 e) {
  register i64 x8 __asm__("x8") = n;
  register i64 x0 __asm__("x0") = a;
  register i64 x1 __asm__("x1") = b;
  register i64 x2 __asm__("x2") = c;
  register i64 x3 __asm__("x3") = d;
  register i64 x4 __asm__("x4") = e;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
  return x0;
}
__asm__(".globl _start\n_start:\n  mov x0, sp\n  bl begin\n");
#define RESTORER 0
#endif

enum { atFdCwd = -100, atRemoveDir = 0x200, eIsDir = 21, ePerm = 1, eAgain = 11, eIntr = 4 };
enum { sigInt = 2, sigKill = 9, sigTerm = 15, sigChld = 17 };

struct action { void (*handler)(int); u64 flags; void (*restorer)(void); u64 mask; };

static void leave(i64 code) { for (;;) call(sysExit, code, 0, 0, 0, 0); }
static void ended(int signal) { (void)signal; leave(0); }

static int same(const char *a, const char *b) {
  while (*a && *a == *b) a++, b++;
  return *a == *b;
}

static i64 number(const char *text) {
  i64 value = 0;
  if (!*text) return -1;
  for (; *text; text++) {
    if (*text < '0' || *text > '9') return -1;
    value = value * 10 + (*text - '0');
  }
  return value;
}

static void onSignal(int signal, void (*handler)(int)) {
  static struct action action;
  action.handler = handler;
  action.flags = RESTORER;
  action.restorer = 0;
  action.mask = 0;
  call(sysSigaction, signal, (i64)&action, 0, 8, 0);
}

/* As the first process it is everybody's parent in the end: ignoring SIGCHLD reaps them. */
static void idle(void) {
  onSignal(sigChld, (void (*)(int))1);
  onSignal(sigTerm, ended);
  onSignal(sigInt, ended);
  for (;;) call(sysPpoll, 0, 0, 0, 0, 8);
}

static char buffer[1 << 16];
static char names[1 << 15];
static char path[64];

static void append(char *to, const char *text) {
  while (*to) to++;
  while ((*to++ = *text++)) {}
}

static i64 openFor(const char *pid, const char *file) {
  path[0] = 0;
  append(path, "/proc/");
  append(path, pid);
  append(path, file);
  return call(sysOpenat, atFdCwd, (i64)path, 0, 0, 0);
}

/* Is the word an entry of the process's environment? */
static int carries(const char *pid, const char *word) {
  i64 fd = openFor(pid, "/environ");
  if (fd < 0) return 0;
  i64 at = 0;
  int found = 0, going = 1;
  for (i64 got; !found && (got = call(sysRead, fd, (i64)buffer, sizeof buffer, 0, 0)) > 0;) {
    for (i64 i = 0; i < got && !found; i++) {
      if (going && buffer[i] == word[at]) {
        if (!buffer[i]) found = 1;
        at++;
      } else going = 0;
      if (!buffer[i]) at = 0, going = 1;
    }
  }
  call(sysClose, fd, 0, 0, 0, 0);
  return found;
}

/* What was started from outside has no parent in here. */
static int isFirst(const char *pid) {
  i64 fd = openFor(pid, "/stat");
  if (fd < 0) return 0;
  i64 got = call(sysRead, fd, (i64)buffer, sizeof buffer - 1, 0, 0);
  call(sysClose, fd, 0, 0, 0, 0);
  if (got <= 0) return 0;
  while (got > 0 && buffer[got - 1] != ')') got--;
  /* ") S 0 …" */
  return buffer[got + 3] == '0' && buffer[got + 4] == ' ';
}

static int signalAll(i64 signal, const char *word) {
  i64 self = call(sysGetpid, 0, 0, 0, 0, 0);
  int met = 0;
  i64 proc = call(sysOpenat, atFdCwd, (i64)"/proc", oDirectory, 0, 0);
  if (proc < 0) return -1;
  for (i64 got; (got = call(sysGetdents, proc, (i64)names, sizeof names, 0, 0)) > 0;) {
    for (i64 at = 0; at < got; at += *(unsigned short *)(names + at + 16)) {
      const char *pid = names + at + 19;
      i64 id = number(pid);
      if (id <= 1 || id == self || !carries(pid, word)) continue;
      if (signal != sigKill && !isFirst(pid)) continue;
      if (call(sysKill, id, signal, 0, 0, 0) == 0) met++;
    }
  }
  call(sysClose, proc, 0, 0, 0, 0);
  return met;
}

/* Children that are born while others are killed are met by the next round. */
static int sendSignal(i64 signal, const char *word) {
  int met = signalAll(signal, word);
  if (signal == sigKill)
    for (int round = 0; round < 50 && signalAll(signal, word) > 0; round++) {}
  return met > 0 ? 0 : 3;
}

/* Each step of the way is opened by itself and must be a folder, no link. A folder goes only when it is empty. */
static int removeOne(char *name) {
  i64 folder = call(sysOpenat, atFdCwd, (i64)"/", oDirectory, 0, 0);
  while (*name == '/') name++;
  for (;;) {
    char *end = name;
    while (*end && *end != '/') end++;
    if (!*end) break;
    *end = 0;
    i64 next = call(sysOpenat, folder, (i64)name, oDirectory | oNoFollow, 0, 0);
    call(sysClose, folder, 0, 0, 0, 0);
    if (next < 0) return 0;
    folder = next;
    name = end + 1;
  }
  i64 result = call(sysUnlinkat, folder, (i64)name, 0, 0, 0);
  if (result == -eIsDir || result == -ePerm) call(sysUnlinkat, folder, (i64)name, atRemoveDir, 0, 0);
  call(sysClose, folder, 0, 0, 0, 0);
  return 0;
}

static int removeNamed(void) {
  u64 filled = 0;
  for (;;) {
    i64 got = call(sysRead, 0, (i64)(buffer + filled), sizeof buffer - filled, 0, 0);
    if (got == -eIntr || got == -eAgain) continue;
    if (got <= 0) return got < 0 || filled > 0 ? 4 : 0;
    filled += got;
    u64 start = 0;
    for (u64 at = 0; at < filled; at++) {
      if (buffer[at]) continue;
      /* An empty name is the end of the list: not everything that gives input can also close it. */
      if (at == start) return 0;
      removeOne(buffer + start);
      start = at + 1;
    }
    for (u64 at = start; at < filled; at++) buffer[at - start] = buffer[at];
    filled -= start;
    if (filled == sizeof buffer) return 4;
  }
}

void begin(i64 *stack) {
  i64 count = stack[0];
  char **args = (char **)(stack + 1);
  if (count == 2 && same(args[1], "pause")) idle();
  if (count == 4 && same(args[1], "kill")) leave(sendSignal(number(args[2]), args[3]));
  if (count == 2 && same(args[1], "remove")) leave(removeNamed());
  if (count == 4 && same(args[1], "rename")) leave(-call(sysRenameat2, atFdCwd, (i64)args[2], atFdCwd, (i64)args[3], 0));
  leave(125);
}
