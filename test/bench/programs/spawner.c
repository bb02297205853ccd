// Starts commands for the benchmark and times each from spawn to exit, without Node's own cost of starting processes.
// One line in: the command's arguments, separated by tabs; @@ becomes a number never used before.
// One line out: milliseconds and wait status.
#define _GNU_SOURCE
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

int main(void) {
  static char line[65536], storage[128][1024];
  char *args[129];
  posix_spawn_file_actions_t quiet;
  posix_spawn_file_actions_init(&quiet);
  posix_spawn_file_actions_addopen(&quiet, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&quiet, 1, "/dev/null", O_WRONLY, 0);
  for (int turn = 0; fgets(line, sizeof line, stdin); turn++) {
    int count = 0;
    line[strcspn(line, "\n")] = 0;
    for (char *rest = line, *word; (word = strsep(&rest, "\t")) && count < 128; count++) {
      char *mark = strstr(word, "@@");
      if (mark)
        snprintf(storage[count], 1024, "%.*s%d-%d%s", (int)(mark - word), word, getpid(), turn, mark + 2);
      else
        snprintf(storage[count], 1024, "%s", word);
      args[count] = storage[count];
    }
    args[count] = NULL;
    int status = -1;
    pid_t pid;
    double start = now();
    if (posix_spawnp(&pid, args[0], &quiet, NULL, args, environ) == 0) waitpid(pid, &status, 0);
    printf("%.4f %d\n", now() - start, status);
    fflush(stdout);
  }
  return 0;
}
