// The clients of the WebSocket scenarios: connections that exchange messages made before, as fast as the server answers. A client does
// little more than send and recv, so that the server is what limits. Every byte that comes is compared with what should.
//
//   sockets echo PORT CONNECTIONS DEPTH SKIP STATUS FOLDER
//     Each connection sends DEPTH messages at a time, and the next ones when all answers have come.
//   sockets publish PORT CONNECTIONS DEPTH SKIP STATUS FOLDER
//     One more connection, the publisher, sends DEPTH messages at a time, and the next ones when they have come to all the others.
//
// FOLDER has the files `handshake`, `message` (what is sent), `answer` (what comes), and for the publisher `publisher`, its handshake. The
// handshake is answered with STATUS, and SKIP bytes follow the head of the answer. It prints `ready` when all are connected. On standard input,
// `run` starts the exchange. `stop` ends it when nothing is in flight: then the number of answers since `run` is printed. A problem is
// printed, and ends it.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { most_descriptors = 1 << 15, most_bytes = 1 << 20, answer_seconds = 10 };

struct bytes {
  size_t length;
  char *data;
};

// Of each connection, by descriptor.
static uint32_t position[most_descriptors]; // how much of the next answer has come
static uint32_t answers[most_descriptors];  // of the last `depth` messages
static uint8_t within_ping[most_descriptors];

static struct bytes message, answer;
static int depth, connections, is_publishing, publisher, poller;
static int running, stopping;
static long in_flight; // answers that are to come
static unsigned long received;
static int *sockets;
static char input[1 << 17];

static void fail(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  printf("problem: ");
  vprintf(format, arguments);
  printf("\n");
  va_end(arguments);
  exit(1);
}

static struct bytes contents(const char *folder, const char *name) {
  static char path[4096];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *file = fopen(path, "rb");
  if (file == NULL) fail("%s: %s", path, strerror(errno));
  struct bytes bytes = {.data = malloc(most_bytes)};
  bytes.length = fread(bytes.data, 1, most_bytes, file);
  fclose(file);
  return bytes;
}

// Connects, and waits for the answer to the handshake and the `skip` bytes behind it.
static int open_one(int port, struct bytes handshake, size_t skip, const char *status) {
  int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
  if (fd < 0 || fd >= most_descriptors) fail("no descriptor is left: %s", strerror(errno));
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  struct timeval limit = {.tv_sec = answer_seconds};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) fail("cannot connect: %s", strerror(errno));
  if (send(fd, handshake.data, handshake.length, MSG_NOSIGNAL) != (ssize_t)handshake.length) fail("cannot send the handshake");
  size_t length = 0;
  for (;;) {
    ssize_t count = recv(fd, input + length, sizeof input - length, 0);
    if (count <= 0) fail("the handshake is not answered: %s", count < 0 ? strerror(errno) : "the connection is closed");
    length += count;
    char *end = memmem(input, length, "\r\n\r\n", 4);
    if (end == NULL) continue;
    if (memcmp(input, "HTTP/1.1 ", 9) != 0 || memcmp(input + 9, status, 3) != 0) fail("the handshake is answered with %.12s", input);
    size_t expected = end + 4 - input + skip;
    if (length == expected) break;
    if (length > expected) fail("%zu bytes came after the handshake, and %zu were expected", length - expected + skip, skip);
  }
  fcntl(fd, F_SETFL, O_NONBLOCK);
  return fd;
}

static void send_messages(int fd) {
  // A server whose messages are all answered has room for the next ones.
  if (send(fd, message.data, message.length, MSG_NOSIGNAL) != (ssize_t)message.length) fail("the server takes no messages: %s", strerror(errno));
}

static void publish(void) {
  in_flight = (long)connections * depth;
  send_messages(publisher);
}

static void answered(int fd) {
  received++;
  in_flight--;
  if (++answers[fd] < (uint32_t)depth) return;
  if (answers[fd] > (uint32_t)depth) fail("a message came more than once");
  if (is_publishing) return;
  answers[fd] = 0;
  if (!running) return;
  in_flight += depth;
  send_messages(fd);
}

static void receive(int fd) {
  ssize_t count = recv(fd, input, sizeof input, 0);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count <= 0) fail("the server has closed a connection%s%s", count < 0 ? ": " : "", count < 0 ? strerror(errno) : "");
  for (const char *at = input, *end = input + count; at < end;) {
    if (within_ping[fd]) {
      if (*at++ != 0) fail("a ping has a payload");
      within_ping[fd] = 0;
      static const char pong[] = {(char)0x8a, (char)0x80, 1, 2, 3, 4};
      if (send(fd, pong, sizeof pong, MSG_NOSIGNAL) != sizeof pong) fail("the server takes no pong");
      continue;
    }
    size_t here = end - at, missing = answer.length - position[fd], length = here < missing ? here : missing;
    if (memcmp(at, answer.data + position[fd], length) != 0) {
      if (position[fd] != 0 || *at != (char)0x89) fail("an answer is not what was expected");
      within_ping[fd] = 1;
      at++;
      continue;
    }
    at += length;
    position[fd] += length;
    if (position[fd] < answer.length) continue;
    position[fd] = 0;
    if (in_flight == 0) fail("an answer came to no message");
    answered(fd);
  }
}

static void publish_next(void) {
  if (!is_publishing || !running || in_flight > 0) return;
  for (int i = 0; i < connections; i++) answers[sockets[i]] = 0;
  publish();
}

static void report(void) {
  if (!stopping || in_flight > 0) return;
  stopping = 0;
  printf("%lu\n", received);
}

static void obey(const char *order) {
  if (strcmp(order, "stop") == 0) {
    running = 0;
    stopping = 1;
  } else if (strcmp(order, "run") == 0 && !running && !stopping) {
    running = 1;
    received = 0;
    publish_next();
    for (int i = 0; i < connections && !is_publishing; i++) {
      in_flight += depth;
      send_messages(sockets[i]);
    }
  } else fail("the order %s is unknown, or comes too soon", order);
}

// One read may bring several orders, where this process had no processor between them, and the beginning of one.
static void read_orders(void) {
  static char text[64];
  static size_t length;
  ssize_t count = read(STDIN_FILENO, text + length, sizeof text - 1 - length);
  if (count <= 0) exit(0);
  length += count;
  text[length] = 0;
  char *order = text;
  for (char *end; (end = strchr(order, '\n')) != NULL; order = end + 1) {
    *end = 0;
    obey(order);
  }
  length -= order - text;
  memmove(text, order, length);
  if (length == sizeof text - 1) fail("an order is longer than %zu bytes", length);
}

static void watch(int fd) {
  struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
  if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) < 0) fail("epoll_ctl: %s", strerror(errno));
}

int main(int count, char **arguments) {
  if (count != 8) fail("%d arguments are wrong; expected 7", count - 1);
  setvbuf(stdout, NULL, _IOLBF, 0);
  is_publishing = strcmp(arguments[1], "publish") == 0;
  int port = atoi(arguments[2]);
  connections = atoi(arguments[3]);
  depth = atoi(arguments[4]);
  size_t skip = atoi(arguments[5]);
  const char *status = arguments[6], *folder = arguments[7];
  struct bytes one = contents(folder, "message"), handshake = contents(folder, "handshake");
  answer = contents(folder, "answer");
  message.length = one.length * depth;
  message.data = malloc(message.length);
  for (int i = 0; i < depth; i++) memcpy(message.data + i * one.length, one.data, one.length);

  poller = epoll_create1(0);
  watch(STDIN_FILENO);
  sockets = malloc(connections * sizeof *sockets);
  for (int i = 0; i < connections; i++) watch(sockets[i] = open_one(port, handshake, skip, status));
  if (is_publishing) watch(publisher = open_one(port, contents(folder, "publisher"), 0, "101"));
  printf("ready\n");

  static struct epoll_event events[1024];
  for (;;) {
    int ready = epoll_wait(poller, events, 1024, -1);
    for (int i = 0; i < ready; i++) {
      if (events[i].data.fd == STDIN_FILENO) read_orders();
      else receive(events[i].data.fd);
    }
    publish_next();
    report();
  }
}
