/* Handlers, masks, the alternate stack, and what a bad instruction sends. The
   same lines natively and in the guest. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define SHOW(expression)                                       \
    do {                                                       \
        long result_ = (expression);                           \
        if (result_ == -1)                                     \
            printf("%-64s -1 errno %d\n", #expression, errno); \
        else                                                   \
            printf("%-64s %ld\n", #expression, result_);       \
    } while (0)

enum { STACK = 65536, NOBODY = 99999, BAD_SIGNAL = 65, NOWHERE = 8 };

static volatile int runs, code, deepest;
static volatile double scale = 1.5;
static char stack[STACK];
static volatile int on_stack;

static void count(int number, siginfo_t *info, void *context)
{
    char here;
    runs++;
    code = info->si_code;
    on_stack = &here > stack && &here < stack + STACK;
    (void)number, (void)context;
}

static void handle(int number, void (*handler)(int, siginfo_t *, void *), int flags)
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = flags | SA_SIGINFO};
    if (sigaction(number, &action, NULL) != 0)
        perror("sigaction");
}

static sigset_t only(int number)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, number);
    return set;
}

static void sending(void)
{
    handle(SIGUSR1, count, 0);
    raise(SIGUSR1);
    printf("raised: %d, code %d\n", runs, code);
    kill(getpid(), SIGUSR1);
    printf("killed: %d, code %d\n", runs, code);
    SHOW(kill(getpid(), 0));
    SHOW(kill(getpid(), BAD_SIGNAL));
    SHOW(kill(NOBODY, 0));
    SHOW(kill(NOBODY, BAD_SIGNAL));
    SHOW(kill(-NOBODY, 0));
    SHOW(syscall(SYS_tgkill, getpid(), NOBODY, 0));
    SHOW(syscall(SYS_tgkill, 0, 1, 0));
}

static void blocking(void)
{
    sigset_t set = only(SIGUSR1), before, pending;
    runs = 0;
    sigprocmask(SIG_BLOCK, &set, &before);
    for (int i = 0; i < 3; i++)
        kill(getpid(), SIGUSR1);
    sigpending(&pending);
    printf("blocked: %d, pending %d\n", runs, sigismember(&pending, SIGUSR1));
    sigset_t none;
    sigemptyset(&none);
    SHOW(sigsuspend(&none));
    sigprocmask(SIG_SETMASK, NULL, &pending);
    printf("suspended: %d, blocked again %d\n", runs, sigismember(&pending, SIGUSR1));

    runs = 0;
    handle(SIGRTMIN, count, 0);
    set = only(SIGRTMIN);
    sigprocmask(SIG_BLOCK, &set, NULL);
    for (int i = 0; i < 3; i++)
        kill(getpid(), SIGRTMIN);
    sigprocmask(SIG_SETMASK, &before, NULL);
    printf("real-time signals queue: %d\n", runs);
}

static void nest(int number, siginfo_t *info, void *context)
{
    static volatile int depth;
    depth++;
    if (depth > deepest)
        deepest = depth;
    if (depth < 3)
        raise(number);
    depth--;
    (void)info, (void)context;
}

static void flags(void)
{
    struct sigaction now;
    handle(SIGUSR2, count, SA_RESETHAND);
    raise(SIGUSR2);
    sigaction(SIGUSR2, NULL, &now);
    printf("SA_RESETHAND: default again %d\n", now.sa_handler == SIG_DFL);
    handle(SIGUSR2, nest, SA_NODEFER);
    raise(SIGUSR2);
    printf("SA_NODEFER: %d deep\n", deepest);
    SHOW(syscall(SYS_rt_sigaction, SIGKILL, &now, NULL, 8));
    SHOW(syscall(SYS_rt_sigaction, SIGUSR1, &now, NULL, 4));
    SHOW(syscall(SYS_rt_sigaction, SIGUSR1, NOWHERE, NULL, 8));
    SHOW(syscall(SYS_rt_sigprocmask, 9, &now.sa_mask, NULL, 8));
}

static void alternate_stack(void)
{
    stack_t own = {.ss_sp = stack, .ss_size = STACK}, shown;
    stack_t small = {.ss_sp = stack, .ss_size = 100};
    stack_t odd = {.ss_sp = stack, .ss_size = STACK, .ss_flags = 77};
    SHOW(sigaltstack(&own, NULL));
    handle(SIGUSR1, count, SA_ONSTACK);
    raise(SIGUSR1);
    printf("SA_ONSTACK: on it %d\n", on_stack);
    handle(SIGUSR1, count, 0);
    raise(SIGUSR1);
    printf("without: on it %d\n", on_stack);
    SHOW(sigaltstack(&small, NULL));
    SHOW(sigaltstack(&odd, NULL));
    sigaltstack(NULL, &shown);
    printf("shown: %d %d %zu\n", shown.ss_sp == stack, shown.ss_flags, shown.ss_size);
}

static void multiply(int number, siginfo_t *info, void *context)
{
    volatile double x = 7.25;
    x *= scale;
    runs += (int)x;
    (void)number, (void)info, (void)context;
}

static void floating_point(void)
{
    double sum = 1, product = 3;
    runs = 0;
    handle(SIGUSR1, multiply, 0);
    for (int i = 0; i < 3; i++) {
        sum += scale;
        raise(SIGUSR1);
        product *= sum;
    }
    printf("floating point survives handlers: %g %g %d\n", sum, product, runs);
}

static sigjmp_buf back;

static void fault(int number, siginfo_t *info, void *context)
{
    ucontext_t *interrupted = context;
    printf("signal %d code %d trap %lld error %lld", number, info->si_code,
           (long long)interrupted->uc_mcontext.gregs[REG_TRAPNO],
           (long long)interrupted->uc_mcontext.gregs[REG_ERR]);
    if (number == SIGSEGV && (long)info->si_addr < 0x10000)
        printf(" at %p", info->si_addr);
    printf("\n");
    siglongjmp(back, 1);
}

#define FAULT(statement)             \
    do {                             \
        printf("%s: ", #statement);  \
        if (sigsetjmp(back, 1) == 0) \
            statement;               \
    } while (0)

static void faults(void)
{
    static const int numbers[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
    for (unsigned i = 0; i < sizeof numbers / sizeof *numbers; i++)
        handle(numbers[i], fault, 0);
    volatile char *read_only = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    volatile int *write_here = (int *)0x1234, *read_here = (int *)0x5678;
    volatile int *not_canonical = (int *)0x8000000000000000;
    void (*call_here)(void) = (void (*)(void))0x4444;
    FAULT(*write_here = 1);
    FAULT((void)*read_here);
    FAULT(*read_only = 1);
    FAULT((void)*not_canonical);
    FAULT(call_here());
    FAULT(__asm__ volatile("xorl %%ecx, %%ecx; divl %%ecx" ::: "eax", "ecx", "edx"));
    FAULT(__asm__ volatile("ud2"));
    FAULT(__asm__ volatile("int3"));
    FAULT(__asm__ volatile("hlt"));
}

int main(void)
{
    setvbuf(stdout, NULL, _IONBF, 0);
    sending();
    blocking();
    flags();
    alternate_stack();
    floating_point();
    faults();
    return 0;
}
