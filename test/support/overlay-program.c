/* An overlay installer by the published protocol: well-behaved unless the option `behave` says how to be bad. Linked statically. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

extern char **environ;
static char input[1 << 16];

/* The scalar after `key: ` in the input, or an empty text. */
static const char *field(const char *key) {
  static char values[8][4096];
  static int turn;
  char *value = values[turn++ % 8];
  char pattern[64];
  snprintf(pattern, sizeof pattern, "%s: ", key);
  const char *found = strstr(input, pattern);
  value[0] = 0;
  if (found != NULL) sscanf(found + strlen(pattern), "%4095[^\n]", value);
  return value;
}

static void write_file(const char *directory, const char *name, const char *text) {
  char path[8192];
  snprintf(path, sizeof path, "%s/%s", directory, name);
  FILE *file = fopen(path, "w");
  if (file == NULL || fputs(text, file) < 0 || fclose(file) != 0) {
    fprintf(stderr, "cannot write %s: %s\n", path, strerror(errno));
    exit(3);
  }
}

static void write_disk(off_t position, const char *text) {
  int disk = open(field("installDisk"), O_RDWR);
  if (disk < 0 || pwrite(disk, text, strlen(text), position) < 0) exit(4);
  close(disk);
}

static void misbehave(const char *how) {
  if (strcmp(how, "hang") == 0) for (;;) pause();
  if (strcmp(how, "flood-stdout") == 0) for (;;) puts("flood flood flood flood flood flood");
  if (strcmp(how, "flood-stderr") == 0) for (;;) fputs("flood flood flood flood flood flood\n", stderr);
  if (strcmp(how, "crash") == 0) abort();
  if (strcmp(how, "exit") == 0) { fputs("no such board\n", stderr); exit(7); }
  if (strcmp(how, "bad-yaml") == 0) { puts("{["); exit(0); }
  if (strcmp(how, "outside") == 0) write_file(field("directory"), "outside", "was here");
  if (strcmp(how, "read") == 0) {
    char text[256] = "";
    FILE *file = fopen(field("file"), "r");
    if (file == NULL) { fprintf(stderr, "cannot read: %s\n", strerror(errno)); exit(3); }
    fgets(text, sizeof text, file);
    fprintf(stderr, "read: %s\n", text);
    exit(3);
  }
  if (strcmp(how, "environment") == 0) {
    for (char **one = environ; *one != NULL; one++) fprintf(stderr, "%s\n", *one);
    exit(3);
  }
  if (strcmp(how, "connect") == 0) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(field("port")))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int end = socket(AF_INET, SOCK_STREAM, 0);
    if (end < 0 || connect(end, (struct sockaddr *)&address, sizeof address) != 0) {
      fprintf(stderr, "cannot connect: %s\n", strerror(errno));
      exit(3);
    }
  }
  if (strcmp(how, "fork") == 0 && fork() == 0) for (;;) pause();
  if (strcmp(how, "daemon") == 0 && fork() == 0) { setsid(); sleep(20); exit(0); }
  if (strcmp(how, "escape") == 0) { fputs("\033]0;owned\007\033[2J", stderr); exit(3); }
  if (strcmp(how, "partition") == 0) write_disk(2 << 20, "mine");
  if (strcmp(how, "grow") == 0) write_disk((off_t)1 << 30, "mine");
  if (strcmp(how, "fill") == 0) {
    static char block[1 << 20];
    memset(block, 1, sizeof block);
    char path[8192];
    snprintf(path, sizeof path, "%s/fill", field("mountPrefix"));
    int file = open(path, O_CREAT | O_WRONLY, 0644);
    for (;;) if (write(file, block, sizeof block) < 0) exit(5);
  }
}

int main(int count, char **arguments) {
  if (count < 2) { fputs("missing command", stderr); return 1; }
  fread(input, 1, sizeof input - 1, stdin);
  misbehave(field("behave"));
  if (strcmp(arguments[1], "get-options") == 0) {
    puts("name: board\nkernelArgs:\n    - console=ttyS0\n    - board.arg=1");
    if (field("offset")[0] != 0) printf("partitionOptions:\n    offset: %s\n", field("offset"));
    return 0;
  }
  char loader[64] = "";
  char path[8192];
  snprintf(path, sizeof path, "%s/loader.bin", field("artifactsPath"));
  FILE *file = fopen(path, "r");
  if (file == NULL || fgets(loader, sizeof loader, file) == NULL) return 6;
  write_file(field("mountPrefix"), "boot/EFI/config.txt", "arm_64bit=1\n");
  write_file(field("mountPrefix"), "boot/board.txt", "board\n");
  write_disk(32768, loader);
  return 0;
}
