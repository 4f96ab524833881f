/* What a container of the tests runs: it speaks the lab's language (netshare/lab/server.py).
 *
 * A new connection to port 8080 is sent one line, {"replica": HOSTNAME, "client": "ADDR:PORT"}, at once, and another for
 * every line the client sends; it stays open until the client closes it. Each accept is a line of the container's log:
 * nanoseconds since 1970, then the client's address.
 *
 * On SIGTERM it goes on for as many milliseconds as its first argument says (0), as a well-behaved server does that
 * still takes what is on its way; SIGQUIT ends it as well, all others at once.
 *
 * With a second argument, `reuse-port`, it shares the port with others of its network namespace (SO_REUSEPORT), calls
 * itself $NETSHARE_REPLICA, and on SIGTERM takes no more, as there are others to. `reuse-port-stuck` takes none at all.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PORT = 8080, BACKLOG = 4096, LINE = 256, STACK = 64 * 1024 };

static char hostname[128];
static int listening, shares, stuck;

static int describe(int connection, char *line) {
    struct sockaddr_in client;
    socklen_t length = sizeof client;
    char address[INET_ADDRSTRLEN];
    if (getpeername(connection, (struct sockaddr *)&client, &length) < 0) return -1;
    inet_ntop(AF_INET, &client.sin_addr, address, sizeof address);
    return snprintf(line, LINE, "{\"replica\": \"%s\", \"client\": \"%s:%d\"}\n", hostname, address, ntohs(client.sin_port));
}

static void *serve(void *argument) {
    int connection = (int)(long)argument;
    char line[LINE], input[LINE];
    int length = describe(connection, line);
    ssize_t got = 0;
    if (length > 0 && send(connection, line, length, MSG_NOSIGNAL) == length)
        while ((got = recv(connection, input, sizeof input, 0)) > 0)
            for (ssize_t i = 0; i < got; i++)
                if (input[i] == '\n' && send(connection, line, length, MSG_NOSIGNAL) < 0) break;
    close(connection);
    return NULL;
}

static void *await_signal(void *argument) {
    long milliseconds = (long)argument;
    struct timespec grace = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    sigset_t ending;
    int number;
    sigemptyset(&ending);
    sigaddset(&ending, SIGTERM);
    sigaddset(&ending, SIGQUIT);
    sigwait(&ending, &number);
    if (shares) shutdown(listening, SHUT_RD);
    nanosleep(&grace, NULL);
    _exit(0);
}

int main(int count, char **arguments) {
    int one = 1;
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    sigset_t ending;
    pthread_attr_t detached;
    pthread_t thread;

    setvbuf(stdout, NULL, _IOLBF, 0);
    listening = socket(AF_INET, SOCK_STREAM, 0);
    stuck = count > 2 && !strcmp(arguments[2], "reuse-port-stuck");
    shares = stuck || (count > 2 && !strcmp(arguments[2], "reuse-port"));
    if (shares && getenv("NETSHARE_REPLICA")) strncpy(hostname, getenv("NETSHARE_REPLICA"), sizeof hostname - 1);
    else gethostname(hostname, sizeof hostname - 1);
    sigemptyset(&ending);
    sigaddset(&ending, SIGTERM);
    sigaddset(&ending, SIGQUIT);
    pthread_sigmask(SIG_BLOCK, &ending, NULL); /* process 1 ignores signals it neither handles nor waits for */
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&detached, STACK);
    if (pthread_create(&thread, &detached, await_signal, (void *)(count > 1 ? atol(arguments[1]) : 0))) return 1;

    setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (shares) setsockopt(listening, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
    if (bind(listening, (struct sockaddr *)&any, sizeof any) < 0 || listen(listening, BACKLOG) < 0) {
        perror("listen");
        return 1;
    }
    while (stuck) pause();
    for (;;) {
        struct sockaddr_in client;
        socklen_t length = sizeof client;
        struct timespec now;
        char address[INET_ADDRSTRLEN];
        int connection = accept(listening, (struct sockaddr *)&client, &length);
        if (connection < 0 && errno == EINVAL) pause(); /* it was told to end, and takes no more */
        if (connection < 0) continue;
        clock_gettime(CLOCK_REALTIME, &now);
        setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        inet_ntop(AF_INET, &client.sin_addr, address, sizeof address);
        printf("%lld %s\n", now.tv_sec * 1000000000LL + now.tv_nsec, address);
        if (pthread_create(&thread, &detached, serve, (void *)(long)connection)) close(connection);
    }
}
