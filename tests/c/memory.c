/* Address spaces: mmap and its like, brk, files in memory, exec's refusals. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096L
#define RW (PROT_READ | PROT_WRITE)
#define ANONYMOUS (MAP_PRIVATE | MAP_ANONYMOUS)

static sigjmp_buf back;

static void handler(int signal)
{
    siglongjmp(back, signal);
}

/* What a call says: 0 or 1 stand for themselves, anything else for success. */
#define SAY(call)                                                                               \
    do {                                                                                        \
        errno = 0;                                                                              \
        long value = (long)(call);                                                              \
        int error = errno;                                                                      \
        if (value == -1)                                                                        \
            printf("%-68s error %d\n", #call, error);                                           \
        else                                                                                    \
            printf("%-68s %s\n", #call, value == 0 ? "0" : "yes");                              \
    } while (0)

static const char *touch(volatile char *address)
{
    if (sigsetjmp(back, 1) != 0)
        return "is not there";
    *address = *address;
    return "is there";
}

static void maps(void)
{
    char *at = (char *)0x10000000;
    SAY(mmap(at, 16 * PAGE, RW, ANONYMOUS | MAP_FIXED, -1, 0));
    memset(at, 1, 16 * PAGE);
    SAY(munmap(at + 4 * PAGE, 2 * PAGE));
    printf("page 3 %s, page 4 %s, page 6 %s\n", touch(at + 3 * PAGE), touch(at + 4 * PAGE),
           touch(at + 6 * PAGE));
    SAY(mprotect(at, 4 * PAGE, PROT_READ));
    SAY(mprotect(at, 8 * PAGE, PROT_READ));
    SAY(mprotect(at + 1, PAGE, PROT_READ));
    SAY(mprotect((void *)0x20000000, PAGE, PROT_READ));
    SAY(mmap(0, 0, RW, ANONYMOUS, -1, 0));
    SAY(mmap(0, PAGE, RW, MAP_ANONYMOUS, -1, 0));
    SAY(mmap(0, PAGE, RW, MAP_PRIVATE, -1, 0));
    SAY(mmap(0, PAGE, RW, ANONYMOUS, -1, 5));
    SAY(mmap(0, 1L << 50, RW, ANONYMOUS | MAP_NORESERVE, -1, 0));
    SAY(mmap(at, PAGE, RW, ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
    SAY(munmap(at + 1, PAGE));
    SAY(munmap(at, 0));
    SAY(madvise(at + 8 * PAGE, PAGE, MADV_DONTNEED));
    printf("given up: %d, kept: %d\n", at[8 * PAGE], at[9 * PAGE]);
    SAY(madvise(at + 4 * PAGE, PAGE, MADV_DONTNEED));
}

static void moves(void)
{
    char *from = mmap(0, 4 * PAGE, RW, ANONYMOUS, -1, 0);
    strcpy(from, "moved");
    char *to = mremap(from, 4 * PAGE, 64 * PAGE, MREMAP_MAYMOVE);
    printf("after growing: %s, its end %s\n", to, touch(to + 63 * PAGE));
    to = mremap(to, 64 * PAGE, PAGE, MREMAP_MAYMOVE);
    printf("after shrinking: %s, what was behind %s\n", to, touch(to + PAGE));
    SAY(mremap((void *)0x30000000, PAGE, 2 * PAGE, MREMAP_MAYMOVE));
}

static void heap(void)
{
    char *start = (char *)syscall(SYS_brk, 0L);
    syscall(SYS_brk, start + 100000);
    memset(start, 3, 100000);
    syscall(SYS_brk, start);
    printf("after brk down: %s\n", touch(start + 90000));
    syscall(SYS_brk, start + 100000);
    printf("after brk up again: %d\n", start[90000]);
    printf("brk to nowhere changes nothing: %d\n", (char *)syscall(SYS_brk, 1L) == start + 100000);
    syscall(SYS_brk, start);
}

static void files(const char *path)
{
    char byte = 0;
    int status, file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0755);
    if (write(file, "hello file", 10) != 10)
        return;
    char *own = mmap(0, 2 * PAGE, RW, MAP_PRIVATE, file, 0);
    char *shared = mmap(0, PAGE, RW, MAP_SHARED, file, 0);
    printf("own: %s, behind its end %d, the page behind %s\n", own, own[100], touch(own + PAGE));
    own[0] = 'J';
    shared[1] = 'E';
    if (pread(file, &byte, 1, 0) == 1)
        printf("the file begins with %c; shared %.5s, own %.5s\n", byte, shared, own);
    pid_t child = fork();
    if (child == 0) {
        own[2] = shared[2] = 'X';
        _exit(0);
    }
    waitpid(child, &status, 0);
    printf("after the child's writes: shared %.5s, own %.5s\n", shared, own);
    close(file);
    int readable = open(path, O_RDONLY);
    SAY(mmap(0, PAGE, PROT_WRITE, MAP_SHARED, readable, 0));
    close(readable);
    unlink(path);
    printf("without a name: %.5s\n", shared);
}

static void bad_pointers(void)
{
    char *page = mmap(0, 2 * PAGE, RW, ANONYMOUS, -1, 0);
    char *none = page + PAGE;
    char *args[] = {"x", 0};
    int ends[2];
    if (pipe(ends) != 0 || munmap(none, PAGE) != 0 || write(ends[1], "abc", 3) != 3)
        return;
    SAY(write(ends[1], none, 10));
    SAY(read(ends[0], none, 3));
    SAY(read(ends[0], (void *)bad_pointers, 3));
    SAY(read(ends[0], (void *)0xffff800000000000, 3));
    SAY(execve(none, args, args));
    SAY(execve("/no/such/program", args, args));
    SAY(execve("/dev/null", args, args));
    SAY(execve("/dev", args, args));
}

int main(void)
{
    setvbuf(stdout, 0, _IONBF, 0);
    signal(SIGSEGV, handler);
    signal(SIGBUS, handler);
    maps();
    moves();
    heap();
    files("memory-test-file");
    bad_pointers();
    return 0;
}
