// The floor: the least a kernel does for one sandbox. Own user, mount, pid, ipc, uts and network namespaces, a fresh
// overlay as root, /proc and /dev, no_new_privs, then the program; and its end. No seccomp filter, no dropped capabilities.
//   floor BASE ROOTFS PROGRAM    one line in: how often, one line out: milliseconds of each
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *base, *rootfs, *program;
static int turn;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

static void fail(const char *what) {
  perror(what);
  _exit(1);
}

static void put(const char *path, const char *text) {
  int file = open(path, O_WRONLY);
  if (file < 0 || write(file, text, strlen(text)) < 0) fail(path);
  close(file);
}

static void sandbox(int go) {
  static const char *devices[] = {"null", "zero", "full", "random", "urandom", "tty"};
  char byte, options[2048], merged[512], from[64], to[64];
  if (read(go, &byte, 1) < 0) fail("go");
  if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL)) fail("private");
  snprintf(merged, sizeof merged, "%s/r%d/m", base, turn);
  snprintf(options, sizeof options, "lowerdir=%s,upperdir=%s/r%d/u,workdir=%s/r%d/w,userxattr,volatile", rootfs, base,
           turn, base, turn);
  if (mount("overlay", merged, "overlay", 0, options)) fail("overlay");
  if (chdir(merged)) fail("chdir");
  if (mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL)) fail("proc");
  if (mount("tmpfs", "dev", "tmpfs", MS_NOSUID, "mode=755")) fail("dev");
  for (int i = 0; i < 6; i++) {
    snprintf(from, sizeof from, "/dev/%s", devices[i]);
    snprintf(to, sizeof to, "dev/%s", devices[i]);
    close(open(to, O_CREAT | O_WRONLY, 0666));
    if (mount(from, to, NULL, MS_BIND, NULL)) fail(to);
  }
  if (syscall(SYS_pivot_root, ".", ".")) fail("pivot_root");
  if (umount2(".", MNT_DETACH) || chdir("/")) fail("leave the old root");
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  char *args[] = {(char *)program, NULL}, *environment[] = {NULL};
  execve(program, args, environment);
  fail("exec");
}

static void prepare(void) {
  static const char *parts[] = {"", "/u", "/w", "/m"};
  char path[512];
  for (int i = 0; i < 4; i++) {
    snprintf(path, sizeof path, "%s/r%d%s", base, turn, parts[i]);
    mkdir(path, 0755);
  }
}

static double once(void) {
  int flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET;
  int go[2], status;
  char path[64], map[64];
  double start = now();
  if (pipe2(go, O_CLOEXEC)) fail("pipe");
  pid_t pid = syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
  if (pid < 0) fail("clone");
  if (pid == 0) sandbox(go[0]);
  close(go[0]);
  snprintf(path, sizeof path, "/proc/%d/setgroups", pid);
  put(path, "deny");
  snprintf(path, sizeof path, "/proc/%d/uid_map", pid);
  snprintf(map, sizeof map, "0 %d 1", getuid());
  put(path, map);
  snprintf(path, sizeof path, "/proc/%d/gid_map", pid);
  snprintf(map, sizeof map, "0 %d 1", getgid());
  put(path, map);
  if (write(go[1], "x", 1) < 0) fail("go");
  close(go[1]);
  waitpid(pid, &status, 0);
  if (status) exit(1);
  return now() - start;
}

int main(int count, char **words) {
  if (count != 4) return 2;
  base = words[1], rootfs = words[2], program = words[3];
  for (char line[64]; fgets(line, sizeof line, stdin);) {
    int times = atoi(line);
    for (int i = 0; i < times; i++, turn++) {
      prepare();
      printf("%s%.4f", i ? " " : "", once());
    }
    printf("\n");
    fflush(stdout);
  }
  return 0;
}
