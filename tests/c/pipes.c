/* Tasks that wait for each other through pipes, share offsets, and are
   interrupted while they wait. The same lines natively and in the guest. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SAY(...)             \
    do {                     \
        printf(__VA_ARGS__); \
        fflush(stdout);      \
    } while (0)

static volatile int caught;
static char big[200000];
static char path[64];

static void on_signal(int number)
{
    caught = number;
}

static void handle_alarm(int flags)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = flags};
    sigaction(SIGALRM, &action, NULL);
}

/* Long enough that whoever is to wait waits by then. */
static void pause_shortly(void)
{
    struct timespec time = {0, 30000000};
    while (nanosleep(&time, &time) < 0)
        ;
}

static void reap(void)
{
    int status = -1;
    if (wait(&status) > 0)
        SAY("status %#x\n", status);
}

static void write_or_die(int fd, const void *bytes, size_t count)
{
    if (write(fd, bytes, count) != (ssize_t)count)
        _exit(99);
}

static void make_pipe(int ends[2])
{
    if (pipe(ends) < 0)
        exit(98);
}

static void reader_waits(void)
{
    int p[2];
    char bytes[100];
    ssize_t count;
    make_pipe(p);
    if (!fork()) {
        pause_shortly();
        write_or_die(p[1], "one", 3);
        pause_shortly();
        write_or_die(p[1], "two", 3);
        _exit(0);
    }
    close(p[1]);
    while ((count = read(p[0], bytes, sizeof bytes)) > 0)
        SAY("read %zd: %.*s\n", count, (int)count, bytes);
    SAY("end %zd\n", count);
    close(p[0]);
    reap();
}

static void writer_waits(void)
{
    int p[2];
    char bytes[100];
    long total = 0, sum = 0;
    ssize_t count;
    make_pipe(p);
    for (size_t at = 0; at < sizeof big; at++)
        big[at] = at * 7;
    if (!fork()) {
        write_or_die(p[1], big, sizeof big);
        _exit(0);
    }
    close(p[1]);
    while ((count = read(p[0], bytes, sizeof bytes)) > 0) {
        total += count;
        for (ssize_t at = 0; at < count; at++)
            sum += (unsigned char)bytes[at];
    }
    SAY("total %ld sum %ld\n", total, sum);
    close(p[0]);
    reap();
}

static void nobody_reads(void)
{
    int p[2];
    make_pipe(p);
    if (!fork()) {
        close(p[0]);
        pause_shortly();
        write_or_die(p[1], "x", 1);
        _exit(0);
    }
    close(p[0]);
    close(p[1]);
    reap();
    signal(SIGPIPE, SIG_IGN);
    make_pipe(p);
    if (!fork()) {
        ssize_t count;
        close(p[0]);
        count = write(p[1], big, sizeof big);
        SAY("the reader left after %zd\n", count);
        count = write(p[1], big, 1);
        SAY("then %zd errno %d\n", count, errno);
        _exit(0);
    }
    close(p[1]);
    pause_shortly();
    close(p[0]);
    reap();
}

static void interrupted(void)
{
    int p[2];
    char byte;
    pid_t child;
    make_pipe(p);
    if (!(child = fork())) {
        ssize_t count;
        handle_alarm(0);
        count = read(p[0], &byte, 1);
        SAY("read %zd errno %d caught %d\n", count, errno, caught);
        handle_alarm(SA_RESTART);
        caught = 0;
        count = read(p[0], &byte, 1);
        SAY("read %zd caught %d\n", count, caught);
        handle_alarm(0);
        SAY("wrote %zd\n", write(p[1], big, sizeof big));
        _exit(0);
    }
    pause_shortly();
    kill(child, SIGALRM);
    pause_shortly();
    kill(child, SIGALRM);
    pause_shortly();
    write_or_die(p[1], "z", 1);
    pause_shortly();
    kill(child, SIGALRM);
    reap();
    close(p[0]);
    close(p[1]);
}

static void polling(void)
{
    int p[2], ready;
    pid_t child;
    struct pollfd polled;
    struct timespec short_time = {0, 20000000};
    sigset_t none, alarm;
    make_pipe(p);
    polled = (struct pollfd){p[0], POLLIN, 0};
    SAY("poll %d\n", poll(&polled, 1, 30));
    if (!fork()) {
        pause_shortly();
        write_or_die(p[1], "a", 1);
        _exit(0);
    }
    ready = poll(&polled, 1, -1);
    SAY("poll %d revents %#x\n", ready, polled.revents);
    if (read(p[0], path, 1) != 1)
        exit(97);
    reap();
    if (!(child = fork())) {
        handle_alarm(SA_RESTART);
        ready = poll(&polled, 1, -1);
        SAY("poll %d errno %d\n", ready, errno);
        ready = poll(&polled, 1, 5000);
        SAY("poll %d errno %d\n", ready, errno);
        _exit(0);
    }
    pause_shortly();
    kill(child, SIGALRM);
    pause_shortly();
    kill(child, SIGALRM);
    reap();
    sigemptyset(&none);
    sigemptyset(&alarm);
    sigaddset(&alarm, SIGALRM);
    if (!fork()) {
        handle_alarm(0);
        caught = 0;
        sigprocmask(SIG_BLOCK, &alarm, NULL);
        kill(getpid(), SIGALRM);
        ready = ppoll(&polled, 1, &short_time, NULL);
        SAY("ppoll %d caught %d\n", ready, caught);
        ready = ppoll(&polled, 1, NULL, &none);
        SAY("ppoll %d errno %d caught %d\n", ready, errno, caught);
        sigprocmask(SIG_BLOCK, NULL, &none);
        SAY("blocked again %d\n", sigismember(&none, SIGALRM));
        _exit(0);
    }
    reap();
    close(p[1]);
    ready = poll(&polled, 1, -1);
    SAY("poll %d revents %#x\n", ready, polled.revents);
    close(p[0]);
}

static void shared_offsets(void)
{
    char bytes[100];
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644), copy, own;
    write_or_die(fd, "0123456789", 10);
    lseek(fd, 2, SEEK_SET);
    if (!fork())
        _exit(read(fd, bytes, 3));
    reap();
    SAY("offset %ld\n", (long)lseek(fd, 0, SEEK_CUR));
    copy = dup(fd);
    lseek(copy, 7, SEEK_SET);
    SAY("left %zd\n", read(fd, bytes, sizeof bytes));
    own = open(path, O_RDONLY);
    SAY("left %zd\n", read(own, bytes, sizeof bytes));
    close(own);
    close(copy);
    close(fd);
}

static void appending(void)
{
    char pair[2];
    struct stat s;
    int torn = 0, fd = open(path, O_RDWR | O_APPEND | O_TRUNC);
    if (!fork()) {
        int own = open(path, O_WRONLY | O_APPEND);
        for (int at = 0; at < 300; at++)
            write_or_die(own, "bb", 2);
        _exit(0);
    }
    for (int at = 0; at < 300; at++)
        write_or_die(fd, "aa", 2);
    reap();
    fstat(fd, &s);
    lseek(fd, 0, SEEK_SET);
    while (read(fd, pair, 2) == 2)
        torn += pair[0] != pair[1];
    SAY("appended %ld torn %d\n", (long)s.st_size, torn);
    close(fd);
}

static void mapping(void)
{
    char bytes[10] = "";
    int fd = open(path, O_RDWR | O_TRUNC);
    char *map;
    write_or_die(fd, "hello map", 9);
    map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    map[0] = 'J';
    SAY("private: %.9s, file %zd %s\n", map, pread(fd, bytes, 9, 0), bytes);
    munmap(map, 4096);
    map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (!fork()) {
        map[0] = 'S';
        _exit(0);
    }
    reap();
    SAY("shared: %.9s, file %zd %s\n", map, pread(fd, bytes, 9, 0), bytes);
    write_or_die(fd, "W", 1);
    SAY("written behind: %.10s\n", map);
    munmap(map, 4096);
    close(fd);
    unlink(path);
}

/* Four tasks write pieces that must stay whole. */
static void whole_pieces(void)
{
    static char all[40000];
    char piece[100];
    size_t len = 0;
    ssize_t count;
    int p[2], pieces = 0, torn = 0;
    make_pipe(p);
    for (int task = 0; task < 4; task++)
        if (!fork()) {
            memset(piece, 'a' + task, sizeof piece);
            for (int at = 0; at < 100; at++)
                write_or_die(p[1], piece, sizeof piece);
            _exit(0);
        }
    close(p[1]);
    while ((count = read(p[0], all + len, sizeof all - len)) > 0)
        len += count;
    for (size_t at = 0; at < len; at += sizeof piece, pieces++)
        for (size_t other = 1; other < sizeof piece; other++)
            if (all[at + other] != all[at]) {
                torn++;
                break;
            }
    SAY("pieces %d torn %d\n", pieces, torn);
    while (wait(NULL) > 0)
        ;
    close(p[0]);
}

/* A killed task lets go of its end of a pipe. */
static void killed(void)
{
    int p[2];
    struct pollfd polled;
    pid_t child;
    make_pipe(p);
    if (!(child = fork())) {
        pause();
        _exit(0);
    }
    close(p[1]);
    polled = (struct pollfd){p[0], POLLIN, 0};
    SAY("poll %d\n", poll(&polled, 1, 20));
    kill(child, SIGKILL);
    reap();
    poll(&polled, 1, 1000);
    SAY("revents %#x\n", polled.revents);
    close(p[0]);
}

/* What exec leaves open. */
static void over_exec(char *program)
{
    int kept = open("/dev/null", O_RDONLY);
    int closed = open("/dev/null", O_RDONLY | O_CLOEXEC);
    char first[8], second[8];
    snprintf(first, sizeof first, "%d", kept);
    snprintf(second, sizeof second, "%d", closed);
    if (!fork()) {
        execl(program, program, first, second, (char *)NULL);
        _exit(96);
    }
    reap();
    SAY("here %d %d\n", fcntl(kept, F_GETFD), fcntl(closed, F_GETFD));
}

int main(int argc, char **argv)
{
    if (argc == 3) {
        SAY("after exec %d %d\n", fcntl(atoi(argv[1]), F_GETFD), fcntl(atoi(argv[2]), F_GETFD));
        return 0;
    }
    snprintf(path, sizeof path, "%s/coe-pipes-%d", access("/tmp", W_OK) ? "" : "/tmp", getpid());
    reader_waits();
    writer_waits();
    nobody_reads();
    interrupted();
    shared_offsets();
    appending();
    mapping();
    polling();
    whole_pieces();
    killed();
    over_exec(argv[0]);
    return 0;
}
