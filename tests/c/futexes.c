/* Futexes, the locks that are built of them, and clocks. The same lines
   natively and in the guest. */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* linux/futex.h is not everywhere where this is compiled. */
enum {
    WAIT = 0,
    WAKE = 1,
    CMP_REQUEUE = 4,
    WAIT_BITSET = 9,
    WAKE_BITSET = 10,
    PRIVATE = 128,
    BY_REAL_TIME = 256,
};

#define SHOW(expression)                                       \
    do {                                                       \
        long result_ = (expression);                           \
        if (result_ == -1)                                     \
            printf("%-64s -1 errno %d\n", #expression, errno); \
        else                                                   \
            printf("%-64s %ld\n", #expression, result_);       \
    } while (0)

#define FUTEX(word, operation, value, timeout, other, third) \
    syscall(SYS_futex, (long)(word), operation, value, (long)(timeout), (long)(other), third)

enum { TASKS = 4, ROUNDS = 200, NOWHERE = 16 };

static atomic_int word, started;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turned = PTHREAD_COND_INITIALIZER;
static int turn;
static long sum;

static void pause_shortly(void)
{
    struct timespec time = {.tv_nsec = 20000000};
    nanosleep(&time, NULL);
}

static void errors(void)
{
    struct timespec shortly = {.tv_nsec = 1000000}, wrong = {.tv_nsec = 1000000000};
    struct timespec negative = {.tv_sec = -1};
    word = 1;
    SHOW(FUTEX(&word, WAIT, 0, NULL, NULL, 0));
    SHOW(FUTEX((char *)&word + 1, WAIT, 0, NULL, NULL, 0));
    SHOW(FUTEX(NOWHERE, WAIT, 0, NULL, NULL, 0));
    SHOW(FUTEX(NOWHERE, WAIT | PRIVATE, 0, NULL, NULL, 0));
    SHOW(FUTEX(NOWHERE, WAKE | PRIVATE, 1, NULL, NULL, 0));
    SHOW(FUTEX(NOWHERE, WAKE, 1, NULL, NULL, 0));
    SHOW(FUTEX(&word, WAIT, 1, &shortly, NULL, 0));
    SHOW(FUTEX(&word, WAIT, 1, &wrong, NULL, 0));
    SHOW(FUTEX(&word, WAIT, 1, &negative, NULL, 0));
    SHOW(FUTEX(&word, WAIT, 1, NOWHERE, NULL, 0));
    SHOW(FUTEX(&word, WAIT_BITSET, 1, &shortly, NULL, 0));
    SHOW(FUTEX(&word, WAIT_BITSET, 1, &shortly, NULL, 1));
    SHOW(FUTEX(&word, WAIT_BITSET | BY_REAL_TIME, 1, &shortly, NULL, 1));
    SHOW(FUTEX(&word, WAIT | BY_REAL_TIME, 1, &shortly, NULL, 0));
    SHOW(FUTEX(&word, 99, 1, NULL, NULL, 0));
    SHOW(FUTEX(&word, WAKE, INT_MAX, NULL, NULL, 0));
}

static void *wait_for_bit(void *bit)
{
    started++;
    return (void *)FUTEX(&word, WAIT_BITSET | PRIVATE, 0, NULL, NULL, (long)bit);
}

static void bits_and_requeue(void)
{
    pthread_t threads[TASKS];
    int other = 0;
    word = 0;
    for (long i = 0; i < TASKS; i++)
        pthread_create(&threads[i], NULL, wait_for_bit, (void *)(1L << i));
    while (started < TASKS)
        pause_shortly();
    pause_shortly();
    SHOW(FUTEX(&word, WAKE_BITSET | PRIVATE, INT_MAX, NULL, NULL, 2 | 8));
    pthread_join(threads[1], NULL);
    pthread_join(threads[3], NULL);
    SHOW(FUTEX(&word, CMP_REQUEUE | PRIVATE, 0, INT_MAX, &other, 7));
    SHOW(FUTEX(&word, CMP_REQUEUE | PRIVATE, 1, INT_MAX, &other, 0));
    SHOW(FUTEX(&word, WAKE | PRIVATE, INT_MAX, NULL, NULL, 0));
    SHOW(FUTEX(&other, WAKE | PRIVATE, INT_MAX, NULL, NULL, 0));
    pthread_join(threads[0], NULL);
    pthread_join(threads[2], NULL);
}

static void *add(void *argument)
{
    for (int i = 0; i < ROUNDS; i++) {
        pthread_mutex_lock(&mutex);
        sum++;
        pthread_mutex_unlock(&mutex);
    }
    return argument;
}

static void *take_turns(void *argument)
{
    int own = (int)(long)argument;
    for (int i = 0; i < ROUNDS / 10; i++) {
        pthread_mutex_lock(&mutex);
        while (turn != own)
            pthread_cond_wait(&turned, &mutex);
        turn = (own + 1) % TASKS;
        pthread_cond_broadcast(&turned);
        pthread_mutex_unlock(&mutex);
    }
    return argument;
}

static void locks(void)
{
    pthread_t threads[TASKS];
    for (long i = 0; i < TASKS; i++)
        pthread_create(&threads[i], NULL, add, NULL);
    for (int i = 0; i < TASKS; i++)
        pthread_join(threads[i], NULL);
    printf("sum %ld\n", sum);
    for (long i = 0; i < TASKS; i++)
        pthread_create(&threads[i], NULL, take_turns, (void *)i);
    for (int i = 0; i < TASKS; i++)
        pthread_join(threads[i], NULL);
    printf("turn %d\n", turn);
    struct timespec soon;
    clock_gettime(CLOCK_REALTIME, &soon);
    pthread_mutex_lock(&mutex);
    SHOW(pthread_mutex_timedlock(&mutex, &soon));
    pthread_mutex_unlock(&mutex);
}

static void between_address_spaces(void)
{
    atomic_int *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (fork() == 0) {
        while (*shared == 0)
            FUTEX(shared, WAIT, 0, NULL, NULL, 0);
        *shared = 2;
        FUTEX(shared, WAKE, 1, NULL, NULL, 0);
        _exit(0);
    }
    pause_shortly();
    *shared = 1;
    FUTEX(shared, WAKE, 1, NULL, NULL, 0);
    while (*shared != 2)
        FUTEX(shared, WAIT, 1, NULL, NULL, 0);
    wait(NULL);
    printf("shared %d\n", *shared);
}

static pthread_mutex_t *robust;

static void *die_with_the_lock(void *argument)
{
    pthread_mutex_lock(robust);
    return argument;
}

static void robust_locks(void)
{
    pthread_mutexattr_t attributes;
    pthread_t thread;
    void *head;
    size_t size;
    robust = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(robust, &attributes);
    pthread_create(&thread, NULL, die_with_the_lock, NULL);
    pthread_join(thread, NULL);
    SHOW(pthread_mutex_lock(robust) == EOWNERDEAD);
    pthread_mutex_consistent(robust);
    pthread_mutex_unlock(robust);
    int ends[2];
    if (pipe(ends) != 0)
        return;
    if (fork() == 0) {
        pthread_mutex_lock(robust);
        if (write(ends[1], "", 1) == 1)
            pause_shortly();
        kill(getpid(), SIGKILL);
    }
    char locked;
    SHOW(read(ends[0], &locked, 1));
    SHOW(pthread_mutex_lock(robust) == EOWNERDEAD);
    wait(NULL);
    SHOW(syscall(SYS_get_robust_list, 0, &head, &size));
    SHOW(head != NULL && size == 24);
    SHOW(syscall(SYS_set_robust_list, head, 3));
}

static long passed(const struct timespec *since)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (now.tv_sec - since->tv_sec) * 1000000000 + now.tv_nsec - since->tv_nsec;
}

static void clocks(void)
{
    struct timespec start, time;
    SHOW(clock_gettime(CLOCK_REALTIME, &time));
    SHOW(clock_gettime(CLOCK_BOOTTIME, &time));
    SHOW(syscall(SYS_clock_gettime, 99, &time));
    SHOW(syscall(SYS_clock_gettime, 0, NOWHERE));
    SHOW(syscall(SYS_clock_getres, 1, NULL));
    clock_gettime(CLOCK_MONOTONIC, &start);
    pause_shortly();
    printf("slept long enough: %d\n", passed(&start) >= 20000000);
    time = (struct timespec){0};
    SHOW(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL));
    clock_gettime(CLOCK_MONOTONIC, &start);
    time = start;
    time.tv_nsec = (start.tv_nsec + 5000000) % 1000000000;
    time.tv_sec += time.tv_nsec < start.tv_nsec;
    SHOW(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL));
    printf("and until then: %d\n", passed(&start) >= 5000000);
    time = (struct timespec){.tv_nsec = 1000000000};
    SHOW(syscall(SYS_nanosleep, &time, NULL));
    SHOW(syscall(SYS_nanosleep, NOWHERE, NULL));
    SHOW(clock_nanosleep(CLOCK_MONOTONIC_RAW, 0, &start, NULL));
    SHOW(clock_nanosleep(77, 0, &start, NULL));
}

int main(void)
{
    setvbuf(stdout, NULL, _IONBF, 0);
    errors();
    bits_and_requeue();
    locks();
    between_address_spaces();
    robust_locks();
    clocks();
    return 0;
}
