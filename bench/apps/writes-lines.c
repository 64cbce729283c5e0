// writes-lines NAME COUNT CHUNK GO: makes NAME.ready, waits for the file GO, writes numbered lines to stdout as fast as it
// can, in writes of CHUNK bytes (0: one line each), and then when it began, in milliseconds, to NAME.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int put(const char *bytes, size_t length) {
  for (size_t at = 0; at < length;) {
    ssize_t written = write(1, bytes + at, length - at);
    if (written < 0) return -1;
    at += (size_t)written;
  }
  return 0;
}

static int say(const char *path, double value) {
  FILE *file = fopen(path, "w");
  if (file == NULL) return 1;
  fprintf(file, "%.3f\n", value);
  return fclose(file);
}

int main(int argc, char **argv) {
  if (argc < 5) return 2;
  static char waiting[1 << 16];
  long count = atol(argv[2]);
  size_t chunk = (size_t)atol(argv[3]), filled = 0;
  char ready[4096];
  snprintf(ready, sizeof ready, "%s.ready", argv[1]);
  if (say(ready, 0)) return 1;
  while (access(argv[4], F_OK) != 0) usleep(1000);
  struct timespec began;
  clock_gettime(CLOCK_REALTIME, &began);
  for (long number = 1; number <= count; number++) {
    char line[128];
    int length = snprintf(line, sizeof line,
                          "%09ld the quick brown fox jumps over the lazy dog, and runs on until the line is full .\n", number);
    if (chunk == 0) {
      if (put(line, (size_t)length) < 0) return 1;
      continue;
    }
    if (filled + (size_t)length > sizeof waiting || filled >= chunk) {
      if (put(waiting, filled) < 0) return 1;
      filled = 0;
    }
    memcpy(waiting + filled, line, (size_t)length);
    filled += (size_t)length;
  }
  if (put(waiting, filled) < 0) return 1;
  return say(argv[1], (double)began.tv_sec * 1e3 + (double)began.tv_nsec / 1e6);
}
