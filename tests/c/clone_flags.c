/* clone, clone3 and wait in all their forms: who may wait for whom, what is
   shared, which combinations are refused. */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct args {
    unsigned long flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid,
        set_tid_size, cgroup;
};

#define WAIT_FUTEX 0
#define CLEAR_SIGHAND 0x100000000UL

static char stack[65536] __attribute__((aligned(16)));
static char other_stack[65536] __attribute__((aligned(16)));
static volatile int shared, got;
static volatile int *across;
static int tid;

static void handler(int signal)
{
    got = signal;
}

static int leave_word(void *word)
{
    shared = (long)word;
    return 5;
}

static int sees_tid(void *own)
{
    return *(int *)own == (int)syscall(SYS_gettid);
}

static int nothing(void *unused)
{
    (void)unused;
    return 9;
}

/* Makes a sister of itself. */
static int make_sister(void *unused)
{
    int status;
    (void)unused;
    *across = clone(nothing, other_stack + sizeof other_stack, CLONE_PARENT | SIGUSR1, 0);
    int waited = waitpid(*across, &status, __WALL);
    printf("a sister cannot be waited for: %d error %d\n", waited, errno);
    return 4;
}

static void show_wait(const char *what, pid_t child, int options)
{
    int status = 0;
    errno = 0;
    pid_t waited = waitpid(child, &status, options);
    if (waited < 0)
        printf("%-32s error %d\n", what, errno);
    else
        printf("%-32s %s, status %#x\n", what, waited == child ? "came" : "did not come", status);
}

static pid_t start(int (*work)(void *), int flags, long argument)
{
    return clone(work, stack + sizeof stack, flags, (void *)argument, &tid, 0, &tid);
}

static void sharing(void)
{
    pid_t child = start(leave_word, CLONE_VM | SIGUSR1, 3);
    show_wait("another exit signal, plain wait", child, 0);
    show_wait("another exit signal, __WCLONE", child, __WCLONE);
    printf("left %d, got the signal: %d\n", shared, got == SIGUSR1);
    got = 0;
    child = start(leave_word, CLONE_VM, 4);
    show_wait("no exit signal, __WALL", child, __WALL);
    printf("left %d, got a signal: %d\n", shared, got);
    child = start(leave_word, CLONE_VM | CLONE_VFORK | CLONE_DETACHED | SIGCHLD, 8);
    printf("after vfork the word is %d\n", shared);
    show_wait("vfork's child", child, 0);
    child = start(leave_word, SIGCHLD, 9);
    show_wait("a child with its own memory", child, 0);
    printf("the word is still %d\n", shared);
    child = start(make_sister, SIGCHLD, 0);
    show_wait("the mother of a sister", child, 0);
    show_wait("the sister", *across, __WALL);
}

static void ids(void)
{
    pid_t child = start(sees_tid, CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | SIGCHLD, (long)&tid);
    printf("the parent's word is the child's id: %d\n", tid == child);
    show_wait("the child read its id", child, 0);
    tid = 1;
    child = start(leave_word, CLONE_VM | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | SIGCHLD, 0);
    while (*(volatile int *)&tid != 0)
        syscall(SYS_futex, &tid, WAIT_FUTEX, child, 0);
    printf("the word was cleared: %d\n", tid == 0);
    show_wait("whose word was cleared", child, 0);
}

static void refuse(const char *what, struct args args, unsigned long size)
{
    errno = 0;
    long child = syscall(SYS_clone3, &args, size);
    if (child == 0)
        _exit(0);
    if (child < 0)
        printf("%-60s error %d\n", what, errno);
    else
        show_wait(what, child, __WALL);
}

#define REFUSE(...) refuse(#__VA_ARGS__, (struct args){__VA_ARGS__}, sizeof(struct args))

static void refusals(void)
{
    REFUSE(.exit_signal = SIGCHLD);
    REFUSE(.flags = CLONE_FS | CLONE_FILES | CLONE_SYSVSEM, .exit_signal = SIGCHLD);
    REFUSE(.flags = CLONE_DETACHED, .exit_signal = SIGCHLD);
    REFUSE(.flags = SIGCHLD);
    REFUSE(.exit_signal = 65);
    REFUSE(.exit_signal = 300);
    REFUSE(.flags = CLONE_THREAD, .exit_signal = SIGCHLD);
    REFUSE(.flags = CLONE_PARENT, .exit_signal = SIGCHLD);
    REFUSE(.flags = CLONE_SIGHAND);
    REFUSE(.flags = CLONE_SIGHAND | CLONE_VM | CLEAR_SIGHAND);
    REFUSE(.flags = CLONE_NEWNS | CLONE_FS);
    REFUSE(.flags = 1UL << 40);
    REFUSE(.stack = 4096);
    REFUSE(.stack_size = 4096);
    refuse("too short", (struct args){.exit_signal = SIGCHLD}, 8);
    refuse("too long", (struct args){.exit_signal = SIGCHLD}, 8192);
}

static void clear_handlers(void)
{
    struct sigaction caught, ignored;
    struct args args = {.flags = CLEAR_SIGHAND, .exit_signal = SIGCHLD};
    signal(SIGUSR1, SIG_IGN);
    signal(SIGUSR2, handler);
    pid_t child = syscall(SYS_clone3, &args, sizeof args);
    if (child == 0) {
        sigaction(SIGUSR2, 0, &caught);
        sigaction(SIGUSR1, 0, &ignored);
        _exit((caught.sa_handler == SIG_DFL) + 2 * (ignored.sa_handler == SIG_IGN));
    }
    show_wait("CLONE_CLEAR_SIGHAND", child, 0);
}

static pid_t exits(int status)
{
    pid_t child = fork();
    if (child == 0)
        _exit(status);
    return child;
}

static void waits(void)
{
    siginfo_t info = {0};
    pid_t child = exits(7);
    int waited = waitid(P_PID, child, &info, WEXITED | WNOWAIT);
    printf("waitid %d, its pid %d, code %d, status %d\n", waited, info.si_pid == child,
           info.si_code, info.si_status);
    show_wait("it is still there", child, 0);
    show_wait("it is not any more", child, 0);
    child = fork();
    if (child == 0)
        pause();
    printf("WNOHANG says %d\n", waitpid(child, 0, WNOHANG));
    kill(child, SIGSTOP);
    show_wait("stopped", child, WUNTRACED);
    kill(child, SIGCONT);
    show_wait("continued", child, WCONTINUED);
    kill(child, SIGKILL);
    show_wait("killed", child, 0);
    signal(SIGCHLD, SIG_IGN);
    show_wait("SIGCHLD ignored", exits(0), 0);
    struct sigaction none = {.sa_handler = handler, .sa_flags = SA_NOCLDWAIT};
    sigaction(SIGCHLD, &none, 0);
    got = 0;
    show_wait("SA_NOCLDWAIT", exits(0), 0);
    printf("and got SIGCHLD: %d\n", got == SIGCHLD);
    signal(SIGCHLD, SIG_DFL);
    show_wait("nobody", -1, 0);
}

int main(void)
{
    setvbuf(stdout, 0, _IONBF, 0);
    across = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    signal(SIGUSR1, handler);
    sharing();
    ids();
    refusals();
    clear_handlers();
    waits();
    return 0;
}
