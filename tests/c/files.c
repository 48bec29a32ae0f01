/* Names, files, descriptors, devices and pipes: what each call answers, errors
   included. The same lines natively and in the guest. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <termios.h>
#include <unistd.h>

static char buffer[70000];
static char zeros[70000];
static char name[5000];
static int file;

/* Calls go past the C library, which has checks and flags of its own. */
static long call(long nr, long a, long b, long c, long d, long e)
{
    return syscall(nr, a, b, c, d, e);
}

#define CALL1(n, a) call(SYS_##n, (long)(a), 0, 0, 0, 0)
#define CALL2(n, a, b) call(SYS_##n, (long)(a), (long)(b), 0, 0, 0)
#define CALL3(n, a, b, c) call(SYS_##n, (long)(a), (long)(b), (long)(c), 0, 0)
#define CALL4(n, a, b, c, d) call(SYS_##n, (long)(a), (long)(b), (long)(c), (long)(d), 0)
#define CALL5(n, a, b, c, d, e) call(SYS_##n, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e))

/* Addresses at which there is nothing, and where nothing may be. */
#define NOWHERE 8
#define KERNEL (-4096L)

#define SHOW(expression)                                        \
    do {                                                        \
        long result_ = (expression);                            \
        if (result_ == -1)                                      \
            printf("%-60s -1 errno %d\n", #expression, errno);  \
        else                                                    \
            printf("%-60s %ld\n", #expression, result_);        \
    } while (0)

static void show_bytes(long count)
{
    for (long i = 0; i < count; i++)
        printf(buffer[i] >= ' ' && buffer[i] < 127 ? "%c" : "\\%02x", (unsigned char)buffer[i]);
    printf("\n");
}

static void show_stat(const char *path)
{
    struct stat s;
    if (lstat(path, &s) < 0)
        printf("%s: errno %d\n", path, errno);
    else
        printf("%s: mode %o links %ld size %ld\n", path, s.st_mode, (long)s.st_nlink,
               S_ISDIR(s.st_mode) ? 0L : (long)s.st_size);
}

static void making(void)
{
    SHOW(CALL2(mkdir, "d", 0777));
    SHOW(CALL2(mkdir, "d", 0777));
    SHOW(CALL2(mkdir, "x/y", 0777));
    SHOW(CALL2(mkdir, "e/", 0777));
    SHOW(CALL2(mkdir, ".", 0777));
    SHOW(CALL2(mkdir, "/", 0777));
    SHOW(CALL1(umask, 077));
    SHOW(file = CALL3(open, "f", O_RDWR | O_CREAT, 0666));
    SHOW(CALL1(umask, 022));
    show_stat("d");
    show_stat("e");
    show_stat("f");
    SHOW(CALL2(symlink, "loop", "loop"));
    SHOW(CALL2(symlink, "f", "to-f"));
    SHOW(CALL2(symlink, "d", "to-d"));
    SHOW(CALL2(symlink, "target", "dangling"));
    SHOW(CALL2(symlink, "f", "to-f"));
    SHOW(CALL2(symlink, "", "empty"));
    SHOW(CALL2(symlink, "f", "x/y"));
}

static void reading_and_writing(void)
{
    SHOW(CALL3(write, file, "hello world", 11));
    SHOW(CALL3(lseek, file, 0, SEEK_CUR));
    SHOW(CALL3(lseek, file, -20, SEEK_CUR));
    SHOW(CALL3(lseek, file, 6, SEEK_SET));
    SHOW(CALL3(read, file, buffer, 100));
    show_bytes(5);
    SHOW(CALL3(read, file, buffer, 100));
    SHOW(CALL3(lseek, file, 0, 9));
    SHOW(CALL3(lseek, file, 5000, SEEK_END));
    SHOW(CALL3(write, file, "Z", 1));
    show_stat("f");
    SHOW(CALL4(pread64, file, buffer, 8, 8));
    show_bytes(8);
    SHOW(CALL4(pread64, file, buffer, 8, -1));
    SHOW(CALL4(pwrite64, file, "abc", 3, 4094));
    SHOW(CALL4(pread64, file, buffer, 8, 4092));
    show_bytes(8);
    SHOW(CALL4(pread64, file, buffer, 8, 100000));
    SHOW(CALL3(lseek, file, 0, SEEK_CUR));
    SHOW(CALL2(ftruncate, file, 4095));
    SHOW(CALL2(ftruncate, file, 4100));
    SHOW(CALL4(pread64, file, buffer, 8, 4092));
    show_bytes(8);
    SHOW(CALL2(ftruncate, file, -1));
    SHOW(CALL2(ftruncate, file, 3));
    SHOW(CALL4(pread64, file, NOWHERE, 10, 0));
    SHOW(CALL3(write, file, NOWHERE, 10));
    SHOW(CALL3(read, file, 1L << 47, 10));
    SHOW(CALL3(write, file, KERNEL, 10));
    SHOW(CALL3(read, file, buffer, -1));
    SHOW(CALL3(fcntl, file, F_SETFL, O_APPEND));
    SHOW(CALL3(lseek, file, 0, SEEK_SET));
    SHOW(CALL3(write, file, "app", 3));
    SHOW(CALL3(lseek, file, 0, SEEK_CUR));
    SHOW(CALL4(pwrite64, file, "!!", 2, 0));
    SHOW(CALL4(pread64, file, buffer, 100, 0));
    SHOW(CALL3(fcntl, file, F_SETFL, 0));
}

static void vectors(void)
{
    struct iovec out[4] = {{buffer, 0}, {"ab", 2}, {"cde", 3}, {0, 0}};
    struct iovec in[3] = {{buffer, 2}, {(void *)NOWHERE, 3}, {buffer + 10, 10}};
    SHOW(CALL2(ftruncate, file, 0));
    SHOW(CALL3(lseek, file, 0, 0));
    SHOW(CALL3(writev, file, out, 4));
    SHOW(CALL3(writev, file, out, 0));
    SHOW(CALL3(writev, file, out, -1));
    SHOW(CALL3(writev, file, out, 1025));
    SHOW(CALL3(writev, file, NOWHERE, 1));
    SHOW(CALL3(lseek, file, 0, 0));
    SHOW(CALL3(readv, file, in, 3));
    SHOW(CALL3(lseek, file, 0, SEEK_CUR));
    in[1].iov_base = buffer + 20;
    SHOW(CALL3(lseek, file, 0, 0));
    SHOW(CALL3(readv, file, in, 3));
    in[1].iov_len = -1;
    SHOW(CALL3(readv, file, in, 3));
    in[1] = (struct iovec){(void *)NOWHERE, 5};
    SHOW(CALL3(writev, file, in, 3));
    in[1].iov_base = (void *)KERNEL;
    SHOW(CALL3(writev, file, in, 3));
}

static void descriptors(void)
{
    SHOW(CALL3(fcntl, file, F_GETFL, 0));
    SHOW(CALL3(fcntl, file, F_GETFD, 0));
    SHOW(CALL3(fcntl, file, F_SETFD, FD_CLOEXEC));
    SHOW(CALL3(fcntl, file, F_GETFD, 0));
    SHOW(CALL3(fcntl, file, 999, 0));
    SHOW(CALL3(fcntl, 99, F_GETFD, 0));
    SHOW(CALL3(fcntl, file, F_DUPFD, 20));
    SHOW(CALL3(fcntl, file, F_DUPFD_CLOEXEC, 20));
    SHOW(CALL3(fcntl, 20, F_GETFD, 0));
    SHOW(CALL3(fcntl, 21, F_GETFD, 0));
    SHOW(CALL3(fcntl, file, F_DUPFD, 1 << 30));
    SHOW(CALL3(fcntl, file, F_DUPFD, -1));
    SHOW(CALL2(dup2, file, file));
    SHOW(CALL2(dup2, 99, 99));
    SHOW(CALL2(dup2, file, 20));
    SHOW(CALL2(dup2, file, -1));
    SHOW(CALL2(dup2, 99, 20));
    SHOW(CALL3(dup3, file, file, 0));
    SHOW(CALL3(dup3, file, 22, 5));
    SHOW(CALL3(dup3, file, 22, O_CLOEXEC));
    SHOW(CALL3(fcntl, 22, F_GETFD, 0));
    SHOW(CALL1(dup, 99));
    for (int fd = 20; fd <= 22; fd++)
        SHOW(CALL1(close, fd));
    SHOW(CALL1(close, 22));
    SHOW(CALL1(close, -1));
    SHOW(CALL3(ioctl, file, FIONCLEX, 0));
    SHOW(CALL3(fcntl, file, F_GETFD, 0));
}

/* Opens, shows, and closes again what was opened. */
static void try_open(const char *path, int flags)
{
    long fd = CALL3(open, path, flags, 0600);
    if (fd < 0)
        printf("open %.20s %o: errno %d\n", path, flags, errno);
    else
        printf("open %.20s %o: flags %lo\n", path, flags, CALL3(fcntl, fd, F_GETFL, 0));
    if (fd >= 0)
        close(fd);
}

static void opening(void)
{
    try_open("nope", O_RDONLY);
    try_open("f/x", O_RDONLY);
    try_open("f/", O_RDONLY);
    try_open("", O_RDONLY);
    try_open("d", O_RDWR);
    try_open("d", O_RDONLY | O_CREAT);
    try_open("d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    try_open("f", O_CREAT | O_EXCL | O_RDWR);
    try_open("f", O_DIRECTORY);
    try_open("f/", O_CREAT | O_RDWR);
    try_open("new/", O_CREAT | O_RDWR);
    try_open("d/../", O_CREAT);
    try_open("no/../f", O_RDONLY);
    try_open("f/../f", O_RDONLY);
    try_open("f/.", O_RDONLY);
    try_open(".", O_CREAT | O_EXCL | O_RDWR);
    try_open("//..//.././/", O_RDONLY);
    try_open("loop", O_RDONLY);
    try_open("to-f", O_RDONLY);
    try_open("to-f", O_RDONLY | O_NOFOLLOW);
    try_open("to-f", O_PATH | O_NOFOLLOW);
    try_open("to-f/", O_RDONLY | O_NOFOLLOW);
    try_open("to-d/", O_RDONLY | O_NOFOLLOW);
    try_open("to-d", O_DIRECTORY | O_NOFOLLOW);
    try_open("to-d/../to-f", O_RDONLY);
    try_open("dangling", O_RDONLY);
    try_open("dangling", O_CREAT | O_EXCL | O_RDWR);
    try_open("dangling", O_CREAT | O_RDWR);
    show_stat("target");
    memset(name, 'a', 256);
    try_open(name, O_RDONLY);
    name[255] = 0;
    try_open(name, O_RDONLY);
    memset(name, '/', 4096);
    try_open(name, O_RDONLY);
    name[4095] = 0;
    try_open(name, O_RDONLY);
    SHOW(CALL3(open, NOWHERE, O_RDONLY, 0));
    SHOW(CALL4(openat, file, "x", O_RDONLY, 0));
    SHOW(CALL4(openat, 99, "x", O_RDONLY, 0));
}

static void asking(void)
{
    SHOW(CALL3(readlink, "to-f", buffer, 100));
    show_bytes(1);
    SHOW(CALL3(readlink, "dangling", buffer, 3));
    SHOW(CALL3(readlink, "to-f", buffer, 0));
    SHOW(CALL3(readlink, "f", buffer, 10));
    SHOW(CALL3(readlink, "nope", buffer, 10));
    SHOW(CALL4(readlinkat, file, "", buffer, 10));
    SHOW(CALL2(access, "f", F_OK));
    SHOW(CALL2(access, "d", X_OK));
    SHOW(CALL2(access, "f", 8));
    SHOW(CALL2(access, "nope", F_OK));
    SHOW(CALL4(newfstatat, file, "", buffer, AT_EMPTY_PATH));
    SHOW(CALL4(newfstatat, file, "", buffer, 0));
    SHOW(CALL4(newfstatat, file, "x", buffer, 0));
    SHOW(CALL4(newfstatat, 99, "x", buffer, 0));
    SHOW(CALL4(newfstatat, 99, "/", buffer, 0));
    SHOW(CALL4(newfstatat, AT_FDCWD, "f", buffer, 1));
    SHOW(CALL2(fstat, 99, buffer));
    SHOW(CALL2(fstat, file, NOWHERE));
    SHOW(CALL2(stat, "f/", buffer));
    SHOW(CALL5(statx, AT_FDCWD, "f", 0, 0x7ff, buffer));
    SHOW(CALL5(statx, AT_FDCWD, "f", 1, 0x7ff, buffer));
    SHOW(CALL5(statx, file, "", AT_EMPTY_PATH, 0x7ff, buffer));
}

static void directories(void)
{
    DIR *directory;
    struct dirent *entry;
    int seen = 0, fd;
    SHOW(CALL3(open, "d/b", O_CREAT, 0600));
    SHOW(CALL3(open, "d/a", O_CREAT, 0600));
    directory = opendir("d");
    while ((entry = readdir(directory)))
        seen += !strcmp(entry->d_name, ".") + 2 * !strcmp(entry->d_name, "..")
                + 4 * !strcmp(entry->d_name, "a") + 8 * !strcmp(entry->d_name, "b");
    SHOW(seen);
    fd = dirfd(directory);
    SHOW(CALL3(getdents64, fd, buffer, 1000));
    SHOW(CALL3(lseek, fd, 0, SEEK_SET));
    SHOW(CALL3(getdents64, fd, buffer, 10));
    SHOW(CALL3(getdents64, file, buffer, 100));
    SHOW(CALL3(read, fd, buffer, 10));
    SHOW(CALL3(write, fd, buffer, 10));
    SHOW(CALL1(fchdir, fd));
    SHOW(CALL2(access, "a", F_OK));
    SHOW(CALL1(chdir, ".."));
    closedir(directory);
    SHOW(CALL1(fchdir, file));
    SHOW(CALL1(fchdir, 99));
    SHOW(CALL1(chdir, "f"));
    SHOW(CALL1(chdir, "nope"));
    SHOW(CALL2(getcwd, buffer, 1));
    SHOW(CALL2(getcwd, NOWHERE, 4096));
}

static void removing(void)
{
    struct stat s;
    SHOW(CALL1(unlink, "target"));
    SHOW(CALL1(unlink, "to-d/"));
    SHOW(CALL1(unlink, "d"));
    SHOW(CALL1(unlink, "nope"));
    SHOW(CALL1(unlink, "f/"));
    SHOW(CALL1(unlink, "."));
    SHOW(CALL1(rmdir, "f"));
    SHOW(CALL1(rmdir, "nope"));
    SHOW(CALL1(rmdir, "."));
    SHOW(CALL1(rmdir, ".."));
    SHOW(CALL1(rmdir, "d"));
    SHOW(CALL1(unlink, "d/a"));
    SHOW(CALL1(unlink, "d/b"));
    SHOW(CALL2(mkdir, "d/s", 0700));
    show_stat("d");
    SHOW(CALL1(chdir, "d/s"));
    SHOW(CALL1(rmdir, "../s"));
    SHOW(CALL2(getcwd, buffer, 100));
    SHOW(CALL3(open, "x", O_CREAT | O_RDWR, 0600));
    SHOW(CALL2(mkdir, "x", 0600));
    SHOW(CALL1(chdir, "../.."));
    SHOW(CALL3(unlinkat, AT_FDCWD, "d", AT_REMOVEDIR));
    SHOW(CALL3(unlinkat, AT_FDCWD, "f", 1));
    SHOW(CALL3(unlinkat, AT_FDCWD, "f", 0));
    SHOW(CALL4(pread64, file, buffer, 100, 0));
    SHOW(fstat(file, &s));
    SHOW(s.st_nlink);
}

static void devices(void)
{
    struct pollfd polled[3] = {{0, POLLIN | POLLOUT, 0}, {99, POLLIN, 7}, {-1, POLLIN, 7}};
    struct stat s;
    int fd;
    SHOW(fd = CALL3(open, "/dev/null", O_RDWR, 0));
    SHOW(CALL3(read, fd, buffer, 10));
    SHOW(CALL3(write, fd, NOWHERE, 10));
    SHOW(CALL3(write, fd, KERNEL, 10));
    SHOW(CALL3(lseek, fd, 10, 0));
    SHOW(CALL3(ioctl, fd, TCGETS, buffer));
    SHOW(CALL4(pwrite64, fd, "a", 1, 5));
    SHOW(CALL2(ftruncate, fd, 0));
    SHOW(fstat(fd, &s));
    SHOW(s.st_rdev);
    polled[0].fd = fd;
    SHOW(CALL3(poll, polled, 3, 0));
    SHOW(polled[0].revents * 10000 + polled[1].revents * 100 + polled[2].revents);
    SHOW(CALL3(poll, NOWHERE, 1, 0));
    SHOW(CALL3(poll, polled, 1 << 21, 0));
    SHOW(CALL3(poll, 0, 0, 1));
    close(fd);
    SHOW(fd = CALL3(open, "/dev/zero", O_RDONLY, 0));
    buffer[3] = 7;
    SHOW(CALL3(read, fd, buffer, 10));
    SHOW(buffer[3]);
    SHOW(CALL3(read, fd, NOWHERE, 10));
    SHOW(CALL3(write, fd, "a", 1));
    close(fd);
    SHOW(fd = CALL3(open, "/dev/full", O_RDWR, 0));
    SHOW(CALL3(write, fd, "a", 1));
    close(fd);
    SHOW(CALL3(ioctl, file, TCGETS, buffer));
    SHOW(CALL3(ioctl, 99, FIOCLEX, 0));
}

/* Writes pieces until the pipe is full; how much went in. */
static long fill(int fd, long piece)
{
    long total = 0, count;
    while ((count = write(fd, zeros, piece)) > 0)
        total += count;
    return total;
}

/* Reads pieces until the pipe is empty; how much came out. */
static long drain(int fd, long piece)
{
    long total = 0, count;
    while ((count = read(fd, buffer, piece)) > 0)
        total += count;
    return total;
}

static void pipes(void)
{
    struct pollfd polled[2];
    int p[2], one = 1;
    SHOW(CALL2(pipe2, p, O_NONBLOCK));
    SHOW(CALL3(fcntl, p[0], F_GETFL, 0));
    SHOW(CALL3(fcntl, p[1], F_GETFL, 0));
    SHOW(CALL3(read, p[0], buffer, 10));
    SHOW(CALL3(write, p[0], buffer, 10));
    SHOW(CALL3(read, p[1], buffer, 10));
    SHOW(CALL3(write, p[1], "hello", 5));
    SHOW(CALL3(ioctl, p[0], FIONREAD, &one));
    SHOW(one);
    SHOW(CALL3(ioctl, p[0], TCGETS, buffer));
    SHOW(CALL3(lseek, p[0], 0, 0));
    SHOW(CALL4(pread64, p[0], buffer, 1, 0));
    SHOW(CALL3(read, p[0], buffer, 2));
    SHOW(CALL3(read, p[0], buffer, 10));
    SHOW(CALL3(write, p[1], NOWHERE, 10));
    SHOW(CALL3(write, p[1], "xy", 2));
    SHOW(CALL3(read, p[0], NOWHERE, 2));
    SHOW(CALL3(read, p[0], buffer, 2));
    SHOW(CALL2(ftruncate, p[1], 0));
    SHOW(CALL3(write, p[1], zeros, 70000));
    polled[0] = (struct pollfd){p[0], POLLIN | POLLOUT, 0};
    polled[1] = (struct pollfd){p[1], POLLIN | POLLOUT, 0};
    SHOW(CALL3(poll, polled, 2, 0));
    SHOW(CALL3(read, p[0], buffer, 4095));
    SHOW(CALL3(write, p[1], zeros, 1));
    SHOW(CALL3(read, p[0], buffer, 1));
    SHOW(CALL3(write, p[1], zeros, 1));
    SHOW(CALL3(write, p[1], zeros, 4095));
    SHOW(CALL3(write, p[1], zeros, 1));
    SHOW(drain(p[0], 70000));
    SHOW(fill(p[1], 3000));
    SHOW(drain(p[0], 777));
    SHOW(fill(p[1], 5000));
    SHOW(drain(p[0], 70000));
    SHOW(fill(p[1], 13));
    SHOW(drain(p[0], 70000));
    SHOW(CALL3(write, p[1], "bye", 3));
    SHOW(CALL1(close, p[1]));
    SHOW(CALL3(read, p[0], buffer, 10));
    SHOW(CALL3(read, p[0], buffer, 10));
    SHOW(CALL3(poll, polled, 1, 0));
    SHOW(polled[0].revents);
    SHOW(CALL1(close, p[0]));
    SHOW(CALL1(pipe, p));
    SHOW(CALL1(close, p[0]));
    SHOW(CALL3(write, p[1], "a", 1));
    SHOW(CALL3(write, p[1], "a", 0));
    polled[1].fd = p[1];
    SHOW(CALL3(poll, polled + 1, 1, 0));
    SHOW(polled[1].revents);
    SHOW(CALL1(close, p[1]));
    SHOW(CALL2(pipe2, p, 1));
    SHOW(CALL2(pipe2, NOWHERE, 0));
    SHOW(CALL1(dup, file));
    close(file + 1);
}

static void running_out(void)
{
    struct rlimit limit = {40, 40};
    int p[2];
    SHOW(setrlimit(RLIMIT_NOFILE, &limit));
    while (dup(file) >= 0)
        ;
    SHOW(CALL1(dup, file));
    SHOW(CALL2(pipe2, p, 0));
    SHOW(CALL1(close, 30));
    SHOW(CALL2(pipe2, p, 0));
    SHOW(CALL1(dup, file));
    SHOW(CALL3(open, "nope", 0, 0));
    SHOW(CALL3(open, "made", O_CREAT, 0600));
    SHOW(CALL3(fcntl, file, F_DUPFD, 35));
    SHOW(CALL3(fcntl, file, F_DUPFD, 40));
    SHOW(CALL2(dup2, file, 40));
    SHOW(CALL2(access, "made", F_OK));
}

int main(void)
{
    char folder[64];
    setvbuf(stdout, NULL, _IOFBF, 1 << 16);
    signal(SIGPIPE, SIG_IGN);
    umask(022);
    snprintf(folder, sizeof folder, "%s/coe-files-%d", access("/tmp", W_OK) ? "" : "/tmp", getpid());
    if (mkdir(folder, 0755) < 0 || chdir(folder) < 0) {
        perror(folder);
        return 1;
    }
    making();
    reading_and_writing();
    vectors();
    descriptors();
    opening();
    asking();
    directories();
    removing();
    devices();
    pipes();
    running_out();
    unlink("to-f");
    unlink("to-d");
    unlink("loop");
    unlink("dangling");
    rmdir("e");
    SHOW(chdir("/"));
    SHOW(rmdir(folder));
    return 0;
}
