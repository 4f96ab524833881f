/* The benchmarks' own client and echo server, for what no packaged tool does: requests at a fixed rate whose times count
 * from when they were due (an open loop, so a server that stalls cannot hide it), datagrams with replies over many flows,
 * and the first packet of a flow beside its second.
 *
 *   traffic echo DESCRIPTOR...                                 answers every datagram of these sockets with itself
 *   traffic paced ADDRESS PORT RATE SECONDS CONNECTIONS keep   requests over connections that stay open
 *   traffic paced ADDRESS PORT RATE SECONDS CONNECTIONS again  the same; one that was closed meanwhile costs a second try
 *   traffic paced ADDRESS PORT RATE SECONDS CONNECTIONS close  a connection for each; at most CONNECTIONS at once
 *   traffic datagrams ADDRESS PORT FLOWS SECONDS               one datagram under way in each flow
 *   traffic first ADDRESS PORT COUNT                           so many new flows, two datagrams each
 *
 * What got no answer within two seconds failed; PATIENCE, behind all others, says how many seconds else. It prints one JSON
 * object. Every run is bounded in time and number; SIGTERM ends `paced` in good order.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 4096, BATCH = 64, SIZE = 64, LARGEST = 4096 };
static const int64_t SECOND = 1000000000;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * SECOND + t.tv_nsec;
}

static int ascending(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static double quantile(const int64_t *sorted, long count, double share) {
    return count ? (double)sorted[(long)(share * (double)(count - 1) + 0.5)] / 1000 : 0;
}

static struct sockaddr_in at(const char *address, const char *port) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    if (inet_pton(AF_INET, address, &to.sin_addr) != 1) die(address);
    return to;
}

/* --- requests at a fixed rate -------------------------------------------------------------------------------------- */

enum failure { REFUSED, RESET, CLOSED, TIMEOUT, STATUS, OTHER, FAILURES };
static const char *const NAMES[FAILURES] = {"refused", "reset", "closed", "timeout", "status", "other"};

struct connection {
    int fd; /* -1: none */
    int busy, used; /* used: it has been asked before */
    int64_t due, sent;
    int length;
    char answer[LARGEST];
};

static struct {
    struct sockaddr_in to;
    int epoll, keep, again, connections;
    int64_t patience;
    char request[256];
    struct connection all[MOST];
    int idle[MOST], idles;
    int64_t *times;
    long answered, repeated, failed[FAILURES];
} paced;

static void hang_up(struct connection *c) {
    if (c->fd >= 0) close(c->fd); /* which takes it out of epoll too */
    c->fd = -1;
}

static void finish(struct connection *c) {
    c->busy = 0;
    paced.idle[paced.idles++] = (int)(c - paced.all);
    if (!paced.keep) hang_up(c);
}

static void connect_for(struct connection *c);

static void fail(struct connection *c, enum failure kind) {
    hang_up(c);
    /* What every HTTP client does (RFC 9112, 9.3.1): the server has closed a kept connection just when it was used. */
    if (paced.again && c->used && c->length == 0 && (kind == RESET || kind == CLOSED)) {
        paced.repeated++;
        connect_for(c);
        return;
    }
    paced.failed[kind]++;
    finish(c);
}

static enum failure kind_of(int error) {
    switch (error) {
    case ECONNREFUSED: return REFUSED;
    case ECONNRESET: case EPIPE: return RESET;
    case ETIMEDOUT: return TIMEOUT;
    default: return OTHER;
    }
}

static void ask(struct connection *c) {
    ssize_t length = (ssize_t)strlen(paced.request);
    if (send(c->fd, paced.request, (size_t)length, MSG_NOSIGNAL) != length) fail(c, kind_of(errno));
}

static void start(int64_t due) {
    struct connection *c = &paced.all[paced.idle[--paced.idles]];
    c->busy = 1, c->due = due, c->sent = now(), c->length = 0;
    if (c->fd >= 0) {
        c->used = 1;
        ask(c);
        return;
    }
    connect_for(c);
}

static void connect_for(struct connection *c) {
    struct epoll_event interest = {.events = EPOLLOUT, .data.ptr = c};
    int one = 1;
    c->used = 0;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (c->fd < 0) die("socket");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(c->fd, (struct sockaddr *)&paced.to, sizeof paced.to) && errno != EINPROGRESS) {
        fail(c, kind_of(errno));
        return;
    }
    if (epoll_ctl(paced.epoll, EPOLL_CTL_ADD, c->fd, &interest)) die("epoll_ctl");
}

/* Whether the whole answer is there: its head, and as much as Content-Length says. */
static int is_complete(struct connection *c) {
    c->answer[c->length] = 0;
    char *body = strstr(c->answer, "\r\n\r\n"), *length = strcasestr(c->answer, "\r\ncontent-length:");
    if (!body) return 0;
    long wanted = length && length < body ? atol(length + 17) : 0;
    return c->length >= body + 4 - c->answer + wanted;
}

static void hear(struct connection *c, uint32_t events) {
    if (!c->busy) { /* the server ends an idle connection: the next request opens another */
        hang_up(c);
        return;
    }
    if (c->length == 0 && events & EPOLLOUT) {
        int error = 0;
        socklen_t size = sizeof error;
        struct epoll_event interest = {.events = EPOLLIN, .data.ptr = c};
        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error) {
            fail(c, kind_of(error));
            return;
        }
        epoll_ctl(paced.epoll, EPOLL_CTL_MOD, c->fd, &interest);
        ask(c);
        return;
    }
    ssize_t got = recv(c->fd, c->answer + c->length, (size_t)(LARGEST - 1 - c->length), 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
        fail(c, got ? kind_of(errno) : CLOSED);
        return;
    }
    c->length += (int)got;
    if (!is_complete(c)) {
        if (c->length == LARGEST - 1) fail(c, OTHER);
        return;
    }
    if (strncmp(c->answer, "HTTP/1.1 200", 12)) {
        fail(c, STATUS);
        return;
    }
    paced.times[paced.answered++] = now() - c->due;
    int ends = strcasestr(c->answer, "\r\nconnection: close") != NULL;
    finish(c);
    if (ends) hang_up(c);
}

static volatile sig_atomic_t is_over;

static void end(int number) {
    is_over = number;
}

static void pace(char **argument, int64_t patience) {
    double rate = atof(argument[2]), seconds = atof(argument[3]);
    long total = (long)(rate * seconds), begun = 0;
    paced.to = at(argument[0], argument[1]);
    paced.connections = atoi(argument[4]);
    paced.patience = patience;
    paced.again = !strcmp(argument[5], "again");
    paced.keep = paced.again || !strcmp(argument[5], "keep");
    if (total < 1 || total > 10000000 || paced.connections < 1 || paced.connections > MOST) exit(2);
    snprintf(paced.request, sizeof paced.request, "GET / HTTP/1.1\r\nHost: bench.example\r\n%s\r\n",
             paced.keep ? "" : "Connection: close\r\n");
    paced.times = calloc((size_t)total, sizeof *paced.times);
    paced.epoll = epoll_create1(0);
    if (!paced.times || paced.epoll < 0) die("setup");
    signal(SIGTERM, end);
    for (int i = paced.connections; i--;) paced.all[i].fd = -1, paced.idle[paced.idles++] = i;

    int64_t began = now(), looked = began;
    for (;;) {
        if (is_over) total = begun;
        int64_t t = now(), next = began + (int64_t)((double)begun * 1e9 / rate);
        /* No more than a few at a time: where it is behind, what has been answered would wait for all that is due. */
        for (int few = BATCH; few-- && begun < total && next <= t && paced.idles;) {
            start(next);
            next = began + (int64_t)((double)++begun * 1e9 / rate);
        }
        if (begun == total && paced.idles == paced.connections) break;
        if (t - looked > SECOND / 20) {
            looked = t;
            for (int i = 0; i < paced.connections; i++)
                if (paced.all[i].busy && t - paced.all[i].sent > paced.patience) fail(&paced.all[i], TIMEOUT);
        }
        if (t - began > (int64_t)(seconds * 1e9) + 10 * SECOND) break; /* hopelessly behind: the rest never began */
        int64_t pause = begun < total && paced.idles && next - t < SECOND / 50 ? next - t : SECOND / 50;
        struct timespec most = {0, pause > 0 ? pause : 0};
        struct epoll_event ready[BATCH];
        int count = epoll_pwait2(paced.epoll, ready, BATCH, &most, NULL);
        for (int i = 0; i < count; i++) hear(ready[i].data.ptr, ready[i].events);
    }
    double took = (double)(now() - began) / 1e9;
    qsort(paced.times, (size_t)paced.answered, sizeof *paced.times, ascending);
    printf("{\"due\": %ld, \"answered\": %ld, \"repeated\": %ld, \"seconds\": %.3f, \"us\": {\"p50\": %.1f, \"p99\": %.1f, \"max\": %.1f}, \"failed\": {",
           total, paced.answered, paced.repeated, took, quantile(paced.times, paced.answered, 0.5), quantile(paced.times, paced.answered, 0.99),
           quantile(paced.times, paced.answered, 1));
    paced.failed[OTHER] += total - begun;
    for (int i = 0; i < FAILURES; i++) printf("%s\"%s\": %ld", i ? ", " : "", NAMES[i], paced.failed[i]);
    printf("}}\n");
}

/* --- datagrams ----------------------------------------------------------------------------------------------------- */

static void echo(int sockets, char **argument) {
    static char data[BATCH][2048];
    static struct sockaddr_in from[BATCH];
    struct iovec parts[BATCH];
    struct mmsghdr messages[BATCH];
    int epoll = epoll_create1(0), room = 4 << 20;
    for (int i = 0; i < sockets; i++) {
        int fd = atoi(argument[i]);
        struct epoll_event interest = {.events = EPOLLIN, .data.fd = fd};
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &interest)) die("echo");
    }
    for (;;) {
        struct epoll_event ready[BATCH];
        int count = epoll_wait(epoll, ready, BATCH, -1);
        for (int one = 0; one < count; one++) {
            int fd = ready[one].data.fd;
            for (int i = 0; i < BATCH; i++) {
                parts[i] = (struct iovec){data[i], sizeof data[i]};
                messages[i].msg_hdr = (struct msghdr){
                    .msg_name = &from[i], .msg_namelen = sizeof from[i], .msg_iov = &parts[i], .msg_iovlen = 1};
            }
            int got = recvmmsg(fd, messages, BATCH, MSG_DONTWAIT, NULL);
            for (int i = 0; i < got; i++) parts[i].iov_len = messages[i].msg_len;
            for (int sent = 0, more; sent < got; sent += more)
                if ((more = sendmmsg(fd, messages + sent, (unsigned)(got - sent), 0)) <= 0) break;
        }
    }
}

static int flow(const struct sockaddr_in *to, int flags) {
    int fd = socket(AF_INET, SOCK_DGRAM | flags, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)to, sizeof *to)) die("flow");
    return fd;
}

static void datagrams(char **argument) {
    struct sockaddr_in to = at(argument[0], argument[1]);
    int flows = atoi(argument[2]), epoll = epoll_create1(0);
    static int fds[MOST];
    static int64_t sent[MOST];
    char data[SIZE] = {0};
    long replies = 0, lost = 0;
    if (flows < 1 || flows > MOST || atof(argument[3]) > 60) exit(2);
    for (int i = 0; i < flows; i++) {
        struct epoll_event interest = {.events = EPOLLIN, .data.u32 = (uint32_t)i};
        fds[i] = flow(&to, SOCK_NONBLOCK);
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, fds[i], &interest)) die("epoll_ctl");
        send(fds[i], data, sizeof data, 0);
        sent[i] = now();
    }
    int64_t began = now(), end = began + (int64_t)(atof(argument[3]) * 1e9), looked = began;
    for (int64_t t = began; t < end; t = now()) {
        struct epoll_event ready[BATCH];
        int count = epoll_wait(epoll, ready, BATCH, 20);
        for (int i = 0; i < count; i++) {
            uint32_t one = ready[i].data.u32;
            if (recv(fds[one], data, sizeof data, 0) < 0) continue;
            replies++;
            send(fds[one], data, sizeof data, 0);
            sent[one] = t;
        }
        if (t - looked < SECOND / 5) continue;
        for (looked = t, count = 0; count < flows; count++) /* what did not come back in a fifth of a second was lost */
            if (t - sent[count] > SECOND / 5) lost++, sent[count] = t, send(fds[count], data, sizeof data, 0);
    }
    printf("{\"replies\": %ld, \"lost\": %ld, \"seconds\": %.3f}\n", replies, lost, (double)(now() - began) / 1e9);
}

static int64_t trip(int fd) {
    char data[SIZE] = {0};
    int64_t began = now();
    if (send(fd, data, sizeof data, 0) < 0 || recv(fd, data, sizeof data, 0) < 0) return -1;
    return now() - began;
}

static void first(char **argument) {
    struct sockaddr_in to = at(argument[0], argument[1]);
    struct timeval patience = {0, 200000};
    long count = atol(argument[2]), good = 0;
    int64_t *firsts = calloc((size_t)count, sizeof *firsts), *seconds = calloc((size_t)count, sizeof *seconds);
    if (count < 1 || count > 1000000 || !firsts || !seconds) exit(2);
    for (long i = 0; i < count; i++) {
        int fd = flow(&to, 0);
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        firsts[good] = trip(fd), seconds[good] = trip(fd);
        if (firsts[good] >= 0 && seconds[good] >= 0) good++;
        close(fd);
    }
    qsort(firsts, (size_t)good, sizeof *firsts, ascending);
    qsort(seconds, (size_t)good, sizeof *seconds, ascending);
    printf("{\"flows\": %ld, \"lost\": %ld, \"first\": {\"p50\": %.2f, \"p99\": %.2f}, \"second\": {\"p50\": %.2f, \"p99\": %.2f}}\n",
           good, count - good, quantile(firsts, good, 0.5), quantile(firsts, good, 0.99), quantile(seconds, good, 0.5),
           quantile(seconds, good, 0.99));
}

int main(int count, char **argument) {
    if (count > 2 && !strcmp(argument[1], "echo")) echo(count - 2, argument + 2);
    else if (count == 8 && !strcmp(argument[1], "paced")) pace(argument + 2, 2 * SECOND);
    else if (count == 9 && !strcmp(argument[1], "paced")) pace(argument + 2, atoll(argument[8]) * SECOND);
    else if (count == 6 && !strcmp(argument[1], "datagrams")) datagrams(argument + 2);
    else if (count == 5 && !strcmp(argument[1], "first")) first(argument + 2);
    else return 2;
    return 0;
}
