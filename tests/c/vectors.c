/* The YMM registers belong to a task: across switches, fork, exec, handlers and
   what a handler finds in its frame. The same lines natively and in the guest
   with cpu = "v3". */
#define _GNU_SOURCE
#include <pthread.h>
#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

enum { REGISTERS = 16, HALF = 16, FULL = 32, ROUNDS = 200 };

/* The legacy area, the bytes in it that are software's, XSAVE's header, the
   upper halves of the YMM registers. */
enum { SOFTWARE = 464, HEADER = 512, HEADER_RESERVED = 16, UPPER = 576 };

#define MAGIC_1 0x46505853u
#define MAGIC_2 0x46505845u

struct software {
    uint32_t magic, extended_size;
    uint64_t features;
    uint32_t state_size;
};

typedef unsigned char Vectors[REGISTERS][FULL];

#define EACH(op)                                                              \
    op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7)                           \
    op(8) op(9) op(10) op(11) op(12) op(13) op(14) op(15)
#define LOAD(n) "vmovdqu 32*" #n "(%[in]), %%ymm" #n "\n"
#define STORE(n) "vmovdqu %%ymm" #n ", 32*" #n "(%[out])\n"
#define NAME(n) "xmm" #n,

/* Loads all registers, makes a system call some times, stores all registers. */
static void across(const Vectors in, Vectors out, long number, long a, long b, long rounds)
{
    __asm__ volatile(
        EACH(LOAD)
        "1: mov %[number], %%rax\n"
        "syscall\n"
        "dec %[rounds]\n"
        "jnz 1b\n"
        EACH(STORE)
        : [rounds] "+r"(rounds)
        : [in] "r"(in), [out] "r"(out), [number] "r"(number), "D"(a), "S"(b)
        : EACH(NAME) "rax", "rcx", "r11", "memory", "cc");
}

/* Loads all registers, computes for a while, stores all registers. */
static void spinning(const Vectors in, Vectors out, long rounds)
{
    __asm__ volatile(
        EACH(LOAD)
        "1: dec %[rounds]\n"
        "jnz 1b\n"
        EACH(STORE)
        : [rounds] "+r"(rounds)
        : [in] "r"(in), [out] "r"(out)
        : EACH(NAME) "memory", "cc");
}

static void store(Vectors out)
{
    __asm__ volatile(EACH(STORE) : : [out] "r"(out) : "memory");
}

static void load(const Vectors in)
{
    __asm__ volatile(EACH(LOAD) : : [in] "r"(in) : EACH(NAME) "memory");
}

static void fill(Vectors vectors, int seed)
{
    for (int i = 0; i < REGISTERS * FULL; i++)
        vectors[i / FULL][i % FULL] = (unsigned char)(seed * 37 + i * 11 + i / 7);
}

static int same(const Vectors a, const Vectors b)
{
    return memcmp(a, b, sizeof(Vectors)) == 0;
}

/* Two tasks take turns; each keeps its own. */
static int take_turns(int seed)
{
    Vectors mine, after;
    fill(mine, seed);
    across(mine, after, SYS_sched_yield, 0, 0, ROUNDS);
    int kept = same(mine, after);
    spinning(mine, after, 3000000);
    return kept && same(mine, after);
}

static void *thread(void *seed)
{
    return (void *)(intptr_t)take_turns((int)(intptr_t)seed);
}

static void switches(void)
{
    int status;
    pid_t child = fork();
    if (child == 0)
        _exit(take_turns(1));
    int kept = take_turns(2);
    waitpid(child, &status, 0);
    printf("two processes: %d %d\n", kept, WEXITSTATUS(status));

    pthread_t other;
    void *theirs;
    pthread_create(&other, NULL, thread, (void *)3);
    kept = take_turns(4);
    pthread_join(other, &theirs);
    printf("two threads: %d %d\n", kept, (int)(intptr_t)theirs);
}

static void forked(void)
{
    Vectors mine, after;
    int status;
    fill(mine, 5);
    /* The child comes out of the same system call. */
    pid_t parent = getpid();
    across(mine, after, SYS_fork, 0, 0, 1);
    int kept = same(mine, after);
    if (getpid() != parent)
        _exit(kept);
    wait(&status);
    printf("fork: parent %d, child %d\n", kept, WEXITSTATUS(status));
}

static int executed(void)
{
    Vectors first;
    store(first);
    /* The C library has used some of the lower halves by now. */
    int zero = 1;
    for (int i = 8; i < REGISTERS; i++)
        for (int j = HALF; j < FULL; j++)
            zero &= first[i][j] == 0;
    printf("exec: upper halves are zero: %d\n", zero);
    return 0;
}

static void execs(char *self)
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        Vectors mine;
        fill(mine, 6);
        load(mine);
        execl(self, self, "executed", NULL);
        _exit(1);
    }
    waitpid(child, NULL, 0);
}

static enum { LOOK, CHANGE, NO_MAGIC_1, NO_MAGIC_2, NO_AVX, BAD_HEADER } what;
static Vectors seen, found;
static struct software software;
static uint64_t components;
static uint32_t magic_2;
static int flags;

static void handler(int number, siginfo_t *info, void *context)
{
    store(seen);
    ucontext_t *ucontext = context;
    unsigned char *area = (unsigned char *)ucontext->uc_mcontext.fpregs;
    flags = ucontext->uc_flags & 1;
    memcpy(&software, area + SOFTWARE, sizeof software);
    memcpy(&components, area + HEADER, sizeof components);
    memcpy(&magic_2, area + software.state_size, sizeof magic_2);
    for (int i = 0; i < REGISTERS; i++) {
        memcpy(found[i], area + 160 + HALF * i, HALF);
        memcpy(found[i] + HALF, area + UPPER + HALF * i, HALF);
    }
    switch (what) {
    case LOOK: break;
    case CHANGE: memset(area + UPPER, 0x5A, HALF * REGISTERS); break;
    case NO_MAGIC_1: memset(area + SOFTWARE, 0, 4); break;
    case NO_MAGIC_2: memset(area + software.state_size, 0, 4); break;
    case NO_AVX: area[HEADER] &= ~4; break;
    case BAD_HEADER: area[HEADER + HEADER_RESERVED] = 1; break;
    }
    Vectors other;
    fill(other, 99);
    load(other);
    (void)number, (void)info;
}

/* What is in the registers when the handler has returned. */
static void interrupted(Vectors mine, Vectors after, int kind)
{
    what = kind;
    fill(mine, 7 + kind);
    across(mine, after, SYS_kill, getpid(), SIGUSR1, 1);
}

static int upper_halves_are(const Vectors vectors, int value)
{
    for (int i = 0; i < REGISTERS; i++)
        for (int j = HALF; j < FULL; j++)
            if (vectors[i][j] != value)
                return 0;
    return 1;
}

static int lower_halves_same(const Vectors a, const Vectors b)
{
    for (int i = 0; i < REGISTERS; i++)
        if (memcmp(a[i], b[i], HALF) != 0)
            return 0;
    return 1;
}

static void handlers(void)
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    Vectors mine, after, none = {{0}};
    sigaction(SIGUSR1, &action, NULL);

    interrupted(mine, after, LOOK);
    printf("after a handler: %d\n", same(mine, after));
    printf("a handler starts with zeros: %d\n", same(seen, none));
    printf("and finds what was interrupted: %d\n", same(found, mine));
    /* Whether x87 and SSE are in use is for each CPU to say. */
    printf("UC_FP_XSTATE %d, magic numbers %d %d, x87, SSE and AVX %d, AVX in use %d\n", flags,
           software.magic == MAGIC_1, magic_2 == MAGIC_2, (int)(software.features & 7),
           (int)(components >> 2 & 1));
    printf("sizes fit: %d\n", software.extended_size == software.state_size + 4 &&
                                  software.state_size >= UPPER + HALF * REGISTERS);

    interrupted(mine, after, CHANGE);
    printf("changed in the frame: %d\n", upper_halves_are(after, 0x5A));
    static const char *const names[] = {
        [NO_MAGIC_1] = "without the first magic number",
        [NO_MAGIC_2] = "without the second one",
        [NO_AVX] = "without AVX in the header",
    };
    for (int kind = NO_MAGIC_1; kind <= NO_AVX; kind++) {
        interrupted(mine, after, kind);
        printf("%s: lower halves %d, upper ones zero %d\n", names[kind],
               lower_halves_same(mine, after), upper_halves_are(after, 0));
    }

    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        interrupted(mine, after, BAD_HEADER);
        _exit(0);
    }
    int status;
    waitpid(child, &status, 0);
    printf("a header with reserved bits: signal %d\n", WIFSIGNALED(status) ? WTERMSIG(status) : 0);
}

/* A tracer sees and sets all that XSAVE saves. */
static void traced(void)
{
    static unsigned char area[65536];
    Vectors mine, after;
    int status;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        fill(mine, 20);
        across(mine, after, SYS_kill, getpid(), SIGSTOP, 1);
        _exit(lower_halves_same(mine, after) + 2 * upper_halves_are(after, 0xA5));
    }
    waitpid(child, &status, 0);
    struct iovec iovec = {area, sizeof area};
    long result = ptrace(PTRACE_GETREGSET, child, (void *)NT_X86_XSTATE, &iovec);
    uint64_t features;
    memcpy(&features, area + SOFTWARE, sizeof features);
    fill(mine, 20);
    int kept = 1;
    for (int i = 0; i < REGISTERS; i++)
        kept &= memcmp(area + UPPER + HALF * i, mine[i] + HALF, HALF) == 0;
    printf("a tracer gets %ld, x87, SSE and AVX %d, upper halves %d\n", result,
           (int)(features & 7), kept);

    struct iovec part = {area, UPPER};
    result = ptrace(PTRACE_SETREGSET, child, (void *)NT_X86_XSTATE, &part);
    printf("a part of it: %d\n", result == -1 ? errno : 0);
    area[HEADER + HEADER_RESERVED] = 1;
    result = ptrace(PTRACE_SETREGSET, child, (void *)NT_X86_XSTATE, &iovec);
    printf("reserved bits: %d\n", result == -1 ? errno : 0);
    area[HEADER + HEADER_RESERVED] = 0;
    memset(area + UPPER, 0xA5, HALF * REGISTERS);
    result = ptrace(PTRACE_SETREGSET, child, (void *)NT_X86_XSTATE, &iovec);
    ptrace(PTRACE_CONT, child, NULL, NULL);
    waitpid(child, &status, 0);
    printf("and sets %ld: %d\n", result, WEXITSTATUS(status));
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "executed") == 0)
        return executed();
    setvbuf(stdout, NULL, _IOLBF, 0);
    switches();
    forked();
    handlers();
    traced();
    execs(argv[0]);
    return 0;
}
