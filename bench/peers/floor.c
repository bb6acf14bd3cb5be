// The floor: what the kernel costs when a server does next to nothing else: epoll, recv, find the end of the head, send constant
// bytes. It parses no fields, checks no syntax and has no timeouts. It serves /, /flood and /events; see shared.ts.
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { most_descriptors = 1 << 16, flood_bytes = 4 << 20, piece_bytes = 16 * 1024 };

// Of each connection, by descriptor.
static uint8_t matched[most_descriptors]; // how much of CR LF CR LF the bytes of an incomplete head end with
static uint32_t left_to_send[most_descriptors]; // of a flood
static uint8_t subscribed[most_descriptors];

static int highest;
static int poller;
static int timer = -1; // of messages to event streams
static struct itimerspec interval;
static char input[1 << 16], output[1 << 18], piece[piece_bytes];
static char hello[512];
static int hello_bytes;
static const char flood_head[] = "HTTP/1.1 200 OK\r\nContent-Length: 4194304\r\n\r\n";
static const char stream_head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n: welcome\n\n";

static void watch(int fd, uint32_t events, int operation) {
  struct epoll_event event = {.events = events, .data.fd = fd};
  epoll_ctl(poller, operation, fd, &event);
}

static void accept_all(int listener) {
  int fd, one = 1;
  while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
    if (fd >= most_descriptors) {
      close(fd);
      continue;
    }
    if (fd > highest) highest = fd;
    matched[fd] = 0;
    left_to_send[fd] = 0;
    subscribed[fd] = 0;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    watch(fd, EPOLLIN, EPOLL_CTL_ADD);
  }
}

static void go_on_flooding(int fd) {
  while (left_to_send[fd] > 0) {
    size_t wanted = left_to_send[fd] < piece_bytes ? left_to_send[fd] : piece_bytes;
    ssize_t sent = send(fd, piece, wanted, MSG_NOSIGNAL);
    if (sent < 0) return; // flooded, or gone: epoll tells
    left_to_send[fd] -= (uint32_t)sent;
  }
  watch(fd, EPOLLIN, EPOLL_CTL_MOD);
}

// Appends the answer to the request that starts at `head` to the output. Returns the new length of the output. A head that came in
// pieces is compared by its last piece, so only "/" may come in pieces.
static size_t answer(int fd, const char *head, size_t length) {
  if (memcmp(head, "GET /events", 11) == 0) {
    memcpy(output + length, stream_head, sizeof stream_head - 1);
    subscribed[fd] = 1;
    return length + sizeof stream_head - 1;
  }
  if (memcmp(head, "GET /flood", 10) == 0) {
    memcpy(output + length, flood_head, sizeof flood_head - 1);
    left_to_send[fd] = flood_bytes;
    return length + sizeof flood_head - 1;
  }
  memcpy(output + length, hello, hello_bytes);
  return length + hello_bytes;
}

static void receive(int fd) {
  ssize_t received = recv(fd, input, sizeof input, 0);
  if (received <= 0) {
    if (received < 0 && errno == EAGAIN) return;
    subscribed[fd] = 0;
    close(fd);
    return;
  }
  size_t length = 0;
  const char *at = input, *end = input + received, *found;
  // A head that has come in pieces: byte by byte until the mark is complete, or is seen not to be one.
  int seen = matched[fd];
  while (seen > 0 && seen < 4 && at < end) {
    char byte = *at++;
    if (byte == "\r\n\r\n"[seen]) seen++;
    else seen = byte == '\r';
  }
  if (seen == 4) {
    length = answer(fd, input, length);
    seen = 0;
  }
  if (seen == 0) {
    while ((found = memmem(at, end - at, "\r\n\r\n", 4)) != NULL) {
      if (length + sizeof hello > sizeof output) break;
      length = answer(fd, at, length);
      at = found + 4;
    }
    for (seen = end - at < 3 ? (int)(end - at) : 3; seen > 0 && memcmp(end - seen, "\r\n\r\n", seen) != 0;) seen--;
  }
  matched[fd] = (uint8_t)seen;
  if (length > 0) send(fd, output, length, MSG_NOSIGNAL);
  if (left_to_send[fd] > 0) {
    watch(fd, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
    go_on_flooding(fd);
  }
}

static void begin_to_publish(int number) { timerfd_settime(timer, 0, &interval, NULL); }

static void publish(void) {
  uint64_t expirations;
  if (read(timer, &expirations, sizeof expirations) < 0) return;
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  char text[64];
  int bytes = snprintf(text, sizeof text, "data: %.3f\n\n", now.tv_sec * 1e3 + now.tv_nsec / 1e6);
  for (int fd = 0; fd <= highest; fd++) {
    if (subscribed[fd]) send(fd, text, bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
  }
}

int main(void) {
  const char *port = getenv("PORT"), *ms_text = getenv("INTERVAL");
  signal(SIGUSR2, SIG_IGN); // there is no garbage
  memset(piece, 'x', sizeof piece);
  hello_bytes = snprintf(hello, sizeof hello,
                         "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n"
                         "Date: Sun, 22 Nov 2026 00:00:00 GMT\r\n\r\nHello, World!");

  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port ? atoi(port) : 8080)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, 4096) < 0) {
    perror("floor");
    return 1;
  }
  poller = epoll_create1(0);
  watch(listener, EPOLLIN, EPOLL_CTL_ADD);
  int ms = ms_text ? atoi(ms_text) : 0;
  if (ms > 0) {
    struct timespec period = {.tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000L};
    interval = (struct itimerspec){.it_interval = period, .it_value = period};
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    watch(timer, EPOLLIN, EPOLL_CTL_ADD);
    signal(SIGHUP, begin_to_publish);
  }

  static struct epoll_event events[1024];
  for (;;) {
    int count = epoll_wait(poller, events, 1024, -1);
    for (int i = 0; i < count; i++) {
      int fd = events[i].data.fd;
      if (fd == listener) accept_all(fd);
      else if (fd == timer) publish();
      else {
        if (events[i].events & EPOLLOUT) go_on_flooding(fd);
        if (events[i].events & ~EPOLLOUT) receive(fd);
      }
    }
  }
}
