/* Restartable sequences: what registering says, and sections that a switch or a
 * signal leads out of. A section here is an endless loop: nothing but the kernel
 * ends it, so what is printed does not depend on when it does. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>
#ifdef __GLIBC__
#include <sys/rseq.h>
#endif

#define SIGNATURE 0x53053053u

enum { FEATURE_SIZE = 27, ALIGN = 28, SIZE = 32, UNREGISTER = 1 };

struct area {
    uint32_t cpu_id_start, cpu_id;
    uint64_t section;
    uint32_t flags, node_id, mm_cid, pad;
};

struct section {
    uint32_t version, flags;
    uint64_t start, length, abort;
};

static _Alignas(64) volatile struct area areas[4];
static volatile struct area *const area = &areas[0];
static struct section section;
static volatile uint64_t interrupted_at;

/* The endless section, with its abort handler. */
extern char section_start[], section_end[], section_abort[];
uint64_t run_section(volatile uint64_t *where, const struct section *section);
__asm__(".text\n"
        ".globl run_section, section_start, section_end, section_abort\n"
        "run_section:\n"
        "    xorl %eax, %eax\n"
        "    movq %rsi, (%rdi)\n"
        "section_start:\n"
        "    incq %rax\n"
        "    jmp section_start\n"
        "section_end:\n"
        "    ret\n"
        "    .long 0x53053053\n"
        "section_abort:\n"
        "    ret\n");

static const char *rseq(volatile void *where, uint32_t size, int flags, uint32_t signature)
{
    if (syscall(334, where, size, flags, signature) == 0)
        return "ok";
    switch (errno) {
    case EINVAL: return "EINVAL";
    case EPERM: return "EPERM";
    case EBUSY: return "EBUSY";
    case EFAULT: return "EFAULT";
    default: return strerror(errno);
    }
}

static const char *enter(void) { return rseq(area, SIZE, 0, SIGNATURE); }
static const char *leave(void) { return rseq(area, SIZE, UNREGISTER, SIGNATURE); }

/* What the library has registered for this thread goes, so that all libraries
 * are alike from here on. */
static void leave_library(void)
{
#ifdef __GLIBC__
    if (__rseq_size == 0) {
        puts("the library has registered nothing");
        return;
    }
    volatile struct area *its = (void *)((char *)__builtin_thread_pointer() + __rseq_offset);
    if ((int)its->cpu_id < 0)
        return; /* a thread of one that has already left */
    const char *again = rseq(its, SIZE, 0, SIGNATURE);
    if (strcmp(again, "EBUSY") != 0)
        printf("the library's registration again: %s\n", again);
    const char *left = rseq(its, SIZE, UNREGISTER, SIGNATURE);
    if (strcmp(left, "ok") != 0)
        printf("leaving the library's registration: %s\n", left);
#endif
}

static void registration(void)
{
    char *bytes = (char *)areas;
    printf("features %d, alignment %d\n", getauxval(FEATURE_SIZE) >= 28, getauxval(ALIGN) >= 32);
    printf("leaving nothing        %s\n", leave());
    printf("size 0                 %s\n", rseq(area, 0, 0, SIGNATURE));
    printf("size 28                %s\n", rseq(area, 28, 0, SIGNATURE));
    printf("size 31                %s\n", rseq(area, 31, 0, SIGNATURE));
    printf("unaligned by 8         %s\n", rseq(bytes + 8, SIZE, 0, SIGNATURE));
    printf("unaligned by 16        %s\n", rseq(bytes + 16, SIZE, 0, SIGNATURE));
    printf("unaligned and long     %s\n", rseq(bytes + 16, 64, 0, SIGNATURE));
    printf("flag 1 with others     %s\n", rseq(area, SIZE, 3, SIGNATURE));
    printf("unknown flags          %s\n", rseq(area, SIZE, 1 << 8, SIGNATURE));
    printf("nowhere                %s\n", rseq(NULL, SIZE, 0, SIGNATURE));
    printf("in the kernel          %s\n", rseq((void *)(1ul << 63), SIZE, 0, SIGNATURE));
    void *hole = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    printf("no memory              %s\n", rseq(hole, SIZE, 0, SIGNATURE));

    area->section = 12345;
    area->cpu_id = area->cpu_id_start = 54321;
    printf("registering            %s\n", enter());
    printf("section %d, the same cpu %d, a cpu %d, node %d\n", (int)area->section,
           area->cpu_id_start == area->cpu_id, area->cpu_id < 4096, (int)area->node_id);
    printf("once more              %s\n", enter());
    printf("another place          %s\n", rseq(&areas[1], SIZE, 0, SIGNATURE));
    printf("another size           %s\n", rseq(area, 64, 0, SIGNATURE));
    printf("another signature      %s\n", rseq(area, SIZE, 0, SIGNATURE + 1));
    printf("leaving another place  %s\n", rseq(&areas[1], SIZE, UNREGISTER, SIGNATURE));
    printf("leaving another size   %s\n", rseq(area, 64, UNREGISTER, SIGNATURE));
    printf("leaving by another sig %s\n", rseq(area, SIZE, UNREGISTER, SIGNATURE + 1));
    printf("leaving                %s\n", leave());
    printf("cpu %d, started on %d\n", (int)area->cpu_id, (int)area->cpu_id_start);
    printf("leaving again          %s\n", leave());
    printf("longer                 %s\n", rseq(area, 64, 0, SIGNATURE));
    printf("leaving longer         %s\n", rseq(area, 64, UNREGISTER, SIGNATURE));
}

/* Somebody else who wants our CPU, until we end them. */
static pid_t rival(void)
{
    pid_t pid = fork();
    if (pid == 0)
        for (;;)
            ;
    return pid;
}

static void end_rival(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

/* Where there are more CPUs than one, everybody stays on the first that we may
 * use. */
static void share_one_cpu(void)
{
#ifdef SYS_sched_setaffinity
    unsigned long mask[16] = {0};
    if (syscall(SYS_sched_getaffinity, 0, sizeof mask, mask) <= 0)
        return;
    for (int i = 0; i < 16; i++)
        if (mask[i] != 0) {
            unsigned long one[16] = {0};
            one[i] = mask[i] & -mask[i];
            syscall(SYS_sched_setaffinity, 0, sizeof one, one);
            return;
        }
#endif
}

static void make_section(void)
{
    section = (struct section){
        .start = (uintptr_t)section_start,
        .length = section_end - section_start,
        .abort = (uintptr_t)section_abort,
    };
}

static void preemption(void)
{
    make_section();
    pid_t pid = rival();
    int worked = 0;
    for (int i = 0; i < 3; i++) {
        worked += run_section(&area->section, &section) > 0;
        printf("switched away from: aborted, section is %d\n", (int)area->section);
    }
    printf("it had begun: %d\n", worked > 0);

    /* A section that the task is not in is forgotten and nothing else. */
    area->section = (uintptr_t)&section;
    while (area->section != 0)
        ;
    puts("outside of the section: forgotten");
    end_rival(pid);
}

static void on_signal(int signal, siginfo_t *info, void *context)
{
    (void)signal, (void)info;
    interrupted_at = ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
}

/* A signal, sent by a child that then wants no CPU any more. The interrupted
 * code may be any until we are in the section, so the child sends more. */
static void signals(void)
{
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
    sigaction(SIGUSR1, &action, NULL);
    make_section();
    pid_t parent = getpid(), pid = fork();
    if (pid == 0)
        for (;;) {
            kill(parent, SIGUSR1);
            usleep(1000);
        }
    int to_abort = 0;
    while (!to_abort) {
        interrupted_at = 0;
        run_section(&area->section, &section);
        to_abort = interrupted_at == (uintptr_t)section_abort;
    }
    printf("the handler saw the abort address; section is %d\n", (int)area->section);
    end_rival(pid);
    action.sa_handler = SIG_DFL;
    sigaction(SIGUSR1, &action, NULL);
}

/* Runs a broken section in a child, and says how the child ended. */
static void broken(const char *what, struct section descriptor, uint64_t where, uint32_t flags)
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        pid_t parent = getpid(), other = fork();
        if (other == 0) {
            /* Until the section's task is gone and we are somebody else's. It may
             * be gone before we run at all. */
            while (getppid() == parent)
                ;
            _exit(0);
        }
        section = descriptor;
        area->flags = flags;
        run_section(&area->section, where ? (void *)where : (void *)&section);
        _exit(7);
    }
    int status;
    waitpid(pid, &status, 0);
    printf("%-22s signal %d\n", what, WIFSIGNALED(status) ? WTERMSIG(status) : 0);
}

static void broken_sections(void)
{
    make_section();
    struct section good = section, bad;
    broken("sound", good, 0, 0);
    bad = good, bad.version = 1;
    broken("version 1", bad, 0, 0);
    bad = good, bad.flags = 1;
    broken("flags", bad, 0, 0);
    broken("flags of the area", good, 0, 2);
    bad = good, bad.abort = bad.start + 1;
    broken("abort inside", bad, 0, 0);
    bad = good, bad.abort -= 1;
    broken("no signature", bad, 0, 0);
    bad = good, bad.abort = 1ul << 63;
    broken("abort in the kernel", bad, 0, 0);
    bad = good, bad.length = -bad.start + 1;
    broken("around the end", bad, 0, 0);
    broken("descriptor nowhere", good, 8, 0);
    broken("descriptor in kernel", good, 1ul << 63, 0);
}

static void *thread(void *unused)
{
    (void)unused;
    leave_library();
    printf("a thread leaving ours  %s\n", leave());
    printf("a thread on its own    %s\n", rseq(&areas[2], SIZE, 0, SIGNATURE));
    return NULL;
}

/* Who has our registration: threads have not, children have, vfork's have not. */
static void children(void)
{
    pthread_t other;
    if (pthread_create(&other, NULL, thread, NULL) == 0)
        pthread_join(other, NULL);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        printf("a child once more      %s\n", enter());
        printf("a child leaving        %s\n", leave());
        fflush(stdout);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    pid = vfork();
    if (pid == 0)
        _exit(strcmp(leave(), "EINVAL") == 0);
    int status;
    waitpid(pid, &status, 0);
    printf("vfork's has nothing    %d\n", WEXITSTATUS(status));
    printf("we still have ours     %s\n", enter());
}

int main(int argc, char **argv)
{
    leave_library();
    if (argc > 1) {
        printf("after exec: leaving    %s\n", leave());
        printf("after exec: entering   %s\n", enter());
        return 0;
    }
    registration();
    share_one_cpu();
    printf("registering            %s\n", enter());
    preemption();
    signals();
    broken_sections();
    children();
    fflush(stdout);
    char again[] = "again";
    execve((char *)getauxval(AT_EXECFN), (char *[]){argv[0], again, NULL}, environ);
    perror("execve");
    return 1;
}
