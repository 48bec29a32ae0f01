/* Instructions that cannot go on: which signal, which code, which address. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static sigjmp_buf back;
static volatile siginfo_t seen;

static void handler(int signal, siginfo_t *info, void *context)
{
    (void)context;
    memcpy((void *)&seen, info, sizeof *info);
    siglongjmp(back, signal);
}

/* Runs a statement and says what came of it; addresses from `base` on. */
#define TRY(what, base, statement)                                                              \
    do {                                                                                        \
        int signal = sigsetjmp(back, 1);                                                        \
        if (signal == 0) {                                                                      \
            statement;                                                                          \
            printf("%-28s goes on\n", what);                                                    \
        } else {                                                                                \
            printf("%-28s signal %d code %d at %#lx\n", what, signal, seen.si_code,             \
                   seen.si_code == SI_KERNEL ? 0 : (long)seen.si_addr - (long)(base));          \
        }                                                                                       \
    } while (0)

static int deep(int levels)
{
    volatile char frame[4096];
    frame[0] = 1;
    return levels > 0 ? deep(levels - 1) + frame[0] : 0;
}

static void in_child(const char *what, int levels)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        signal(SIGSEGV, SIG_DFL);
        _exit(deep(levels) == levels ? 0 : 1);
    }
    waitpid(child, &status, 0);
    printf("%-28s status %#x\n", what, status);
}

int main(void)
{
    static char stack[65536];
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
    struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK};
    int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
    char *pages = mmap(0, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    volatile int zero = 0, result = 0;

    setvbuf(stdout, 0, _IONBF, 0);
    sigaltstack(&alternate, 0);
    action.sa_sigaction = handler;
    for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaction(signals[i], &action, 0);

    mprotect(pages + 4096, 4096, PROT_READ);
    munmap(pages + 8192, 4096);
    TRY("a write", pages, pages[5] = 1);
    TRY("a write to read-only memory", pages, pages[4096 + 5] = 1);
    TRY("a read where nothing is", pages, result = *(volatile char *)(pages + 8192 + 7));
    TRY("a write near null", 0, *(volatile int *)0x1234 = 1);
    TRY("a write to the kernel", 0, *(volatile int *)0xffff800000000000 = 1);
    TRY("an address that is none", 0, *(volatile int *)0x8000000000000000 = 1);
    TRY("a jump to data", pages, ((void (*)(void))pages)());
    TRY("a jump to null", 0, ((void (*)(void))0)());
    TRY("a division by zero", seen.si_addr, {
        __asm__ volatile("0: idivl %1" : "+a"(result) : "r"(zero), "d"(0));
    });
    TRY("int3", 0, __asm__ volatile("int3"));
    TRY("hlt", 0, __asm__ volatile("hlt"));
    mprotect(pages, 4096, PROT_NONE);
    TRY("a read of closed memory", pages, result = *(volatile char *)pages);
    mprotect(pages, 4096, PROT_READ);
    printf("it is still %d\n", pages[5]);

    in_child("a deep stack", 1500);
    in_child("a bottomless stack", 1000000);
    TRY("one with a place to stand", seen.si_addr, { deep(1000000); });
    return 0;
}
