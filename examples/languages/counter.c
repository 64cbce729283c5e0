/* cc -o counter counter.c */
#include <stdio.h>
#include <unistd.h>

int main(void) {
  for (int count = 1;; count++) {
    printf("C counts %d\n", count);
    fflush(stdout);
    sleep(1);
  }
}
