// wan PID_A PID_B INTERFACE SETTINGS: a link between the networks of two processes whose rate, delay and being up can
// be set while it runs. It makes a TAP in each network and carries frames between them, for kernels without netem.
// SETTINGS is a file of eight 64-bit numbers that is mapped, so a change holds from the next frame on.
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { MAX_FRAME = 70000, BATCH = 64 };
static const uint64_t SECOND = 1000000000u, MAX_BACKLOG = 2000000u, MAX_QUEUED_BYTES = 256u << 20;

struct settings {
  volatile uint64_t delay_us, rate_mbit, down, reserved;
  volatile uint64_t bytes[2], dropped[2];  // by direction; written here, read by others
};

struct frame {
  struct frame *next;
  uint64_t due;
  size_t size;
  unsigned char data[];
};

struct direction {
  int in, out, index;
  struct frame *first, *last;
  uint64_t queued, busy_until;
};

static struct settings *settings;

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * SECOND + (uint64_t)time.tv_nsec;
}

static int open_tap(const char *pid, const char *interface) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%s/ns/net", pid);
  int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), network = open(path, O_RDONLY | O_CLOEXEC);
  if (home < 0 || network < 0 || setns(network, CLONE_NEWNET)) fail(path);
  int tap = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (tap < 0) fail("/dev/net/tun");
  struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
  snprintf(request.ifr_name, sizeof request.ifr_name, "%s", interface);
  if (ioctl(tap, TUNSETIFF, &request)) fail("TUNSETIFF");
  // Large segments pass whole: the networks on both sides are of one kernel.
  if (ioctl(tap, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN)) fail("TUNSETOFFLOAD");
  if (setns(home, CLONE_NEWNET)) fail("setns");
  close(home);
  close(network);
  return tap;
}

static void deliver(struct direction *way, uint64_t time) {
  while (way->first && way->first->due <= time) {
    struct frame *frame = way->first;
    if (settings->down || write(way->out, frame->data, frame->size) < 0)
      settings->dropped[way->index]++;
    else
      settings->bytes[way->index] += frame->size;
    way->first = frame->next;
    if (!way->first) way->last = NULL;
    way->queued -= frame->size;
    free(frame);
  }
}

static void enqueue(struct direction *way, const unsigned char *data, size_t size) {
  uint64_t time = now(), sent = time;
  struct frame *frame = NULL;
  if (!settings->down && way->queued <= MAX_QUEUED_BYTES) frame = malloc(sizeof *frame + size);
  if (!frame) {
    settings->dropped[way->index]++;
    return;
  }
  // Read once: it may change at any time.
  uint64_t rate_mbit = settings->rate_mbit;
  if (rate_mbit) {
    if (way->busy_until < time) way->busy_until = time;
    way->busy_until += (uint64_t)size * 8000u / rate_mbit;
    sent = way->busy_until;
  }
  memcpy(frame->data, data, size);
  frame->size = size;
  frame->next = NULL;
  frame->due = sent + settings->delay_us * 1000u;
  // A shorter delay never overtakes.
  if (way->last && frame->due < way->last->due) frame->due = way->last->due;
  if (way->last)
    way->last->next = frame;
  else
    way->first = frame;
  way->last = frame;
  way->queued += size;
}

static void *carry(void *argument) {
  struct direction *way = argument;
  unsigned char *data = malloc(MAX_FRAME);
  if (!data) fail("malloc");
  prctl(PR_SET_TIMERSLACK, 1);
  for (;;) {
    uint64_t time = now(), wake = UINT64_MAX;
    deliver(way, time);
    // Beyond a small backlog frames wait in the TAP, whose queue then drops them as a router's would.
    int full = settings->rate_mbit && way->busy_until > time + MAX_BACKLOG;
    if (way->first) wake = way->first->due;
    if (full && way->busy_until - MAX_BACKLOG < wake) wake = way->busy_until - MAX_BACKLOG;
    uint64_t left = wake > time ? wake - time : 0;
    struct timespec timeout = {.tv_sec = (time_t)(left / SECOND), .tv_nsec = (long)(left % SECOND)};
    struct pollfd input = {.fd = way->in, .events = full ? 0 : POLLIN};
    ppoll(&input, 1, wake == UINT64_MAX ? NULL : &timeout, NULL);
    if (full || !(input.revents & POLLIN)) continue;
    for (int i = 0; i < BATCH; i++) {
      ssize_t size = read(way->in, data, MAX_FRAME);
      if (size <= 0) break;
      enqueue(way, data, (size_t)size);
      time = now();
      if ((way->first && way->first->due <= time) || (settings->rate_mbit && way->busy_until > time + MAX_BACKLOG)) break;
    }
  }
  return NULL;
}

int main(int count, char **arguments) {
  if (count != 5) {
    fprintf(stderr, "usage: wan PID_A PID_B INTERFACE SETTINGS\n");
    return 2;
  }
  int file = open(arguments[4], O_RDWR | O_CLOEXEC);
  if (file < 0) fail(arguments[4]);
  settings = mmap(NULL, sizeof *settings, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (settings == MAP_FAILED) fail("mmap");
  int a = open_tap(arguments[1], arguments[3]), b = open_tap(arguments[2], arguments[3]);
  struct direction there = {.in = a, .out = b, .index = 0}, back = {.in = b, .out = a, .index = 1};
  pthread_t thread;
  if (pthread_create(&thread, NULL, carry, &there)) fail("pthread_create");
  carry(&back);
  return 0;
}
