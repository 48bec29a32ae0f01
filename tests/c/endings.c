/* How tasks end, stop and go on, alone and in groups of threads, and how a
   signal cuts a call short. The same lines natively and in the guest. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile int caught;
static char *program;

static void on_signal(int number)
{
    caught = number;
}

static void handle(int number, int flags)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = flags};
    sigaction(number, &action, NULL);
}

/* Long enough that whoever is to wait waits by then. */
static void pause_shortly(void)
{
    struct timespec time = {.tv_nsec = 20000000};
    while (nanosleep(&time, &time) != 0) {
    }
}

static void show(const char *what, int status)
{
    if (WIFEXITED(status))
        printf("%s: exit %d\n", what, WEXITSTATUS(status));
    else if (WIFSIGNALED(status))
        printf("%s: signal %d\n", what, WTERMSIG(status));
    else if (WIFSTOPPED(status))
        printf("%s: stopped by %d\n", what, WSTOPSIG(status));
    else
        printf("%s: %#x\n", what, status);
}

static void wait_for(const char *what, pid_t child, int options)
{
    int status = 0;
    pid_t found = waitpid(child, &status, options);
    if (found < 0)
        printf("%s: errno %d\n", what, errno);
    else
        show(what, status);
}

static void *spin(void *argument)
{
    for (volatile long i = 0;; i++) {
    }
    return argument;
}

static void *sleep_for_ever(void *argument)
{
    for (;;)
        pause();
    return argument;
}

static void start(int count, void *(*run)(void *))
{
    pthread_t thread;
    for (int i = 0; i < count; i++)
        if (pthread_create(&thread, NULL, run, NULL) != 0)
            exit(99);
}

static void *exit_later(void *argument)
{
    pause_shortly();
    _exit(9);
    return argument;
}

static void *run_itself(void *argument)
{
    execl(program, program, "again", NULL);
    return argument;
}

#define CHILD(child, body)      \
    pid_t child = fork();       \
    if (child == 0) {           \
        body;                   \
        _exit(99);              \
    }

static void alone(void)
{
    CHILD(ended, pause());
    kill(ended, SIGTERM);
    wait_for("SIGTERM", ended, 0);
    CHILD(aborted, abort());
    wait_for("abort", aborted, 0);
    CHILD(ignoring, signal(SIGSEGV, SIG_IGN); *(volatile int *)8 = 1);
    wait_for("an ignored SIGSEGV all the same", ignoring, 0);
    CHILD(blocking, sigset_t all; sigfillset(&all); sigprocmask(SIG_SETMASK, &all, NULL);
          *(volatile int *)8 = 1);
    wait_for("a blocked SIGSEGV all the same", blocking, 0);
    CHILD(unmoved, signal(SIGUSR1, SIG_IGN); raise(SIGUSR1); raise(SIGCHLD); raise(SIGWINCH);
          raise(SIGCONT); _exit(3));
    wait_for("ignored signals", unmoved, 0);
    CHILD(lost, handle(SIGSEGV, 0); __asm__ volatile("movq $16, %%rsp; movl $0, (%%rsp)" ::: "memory"));
    wait_for("a handler without a stack", lost, 0);
    CHILD(wrong, __asm__ volatile("movq $0x1000, %%rsp; movl $15, %%eax; syscall" ::: "memory"));
    wait_for("a frame that is none", wrong, 0);
}

static void threads(void)
{
    CHILD(leaver, start(2, spin); start(2, sleep_for_ever); exit(3));
    wait_for("exit with threads", leaver, 0);
    CHILD(killed, start(2, spin); start(2, sleep_for_ever); pause());
    pause_shortly();
    kill(killed, SIGKILL);
    wait_for("SIGKILL with threads", killed, 0);
    CHILD(deaf, start(1, spin); sigset_t all; sigfillset(&all);
          pthread_sigmask(SIG_SETMASK, &all, NULL); sleep(100));
    pause_shortly();
    kill(deaf, SIGTERM);
    wait_for("only a thread takes the signal", deaf, 0);
    CHILD(leaderless, start(1, exit_later); pthread_exit(NULL));
    wait_for("the leader goes first", leaderless, 0);
    CHILD(replaced, start(1, spin); start(1, sleep_for_ever); start(1, run_itself); pause());
    wait_for("exec by a thread", replaced, 0);
}

static void stopping(void)
{
    int status;
    CHILD(stopper, raise(SIGSTOP); _exit(5));
    wait_for("itself", stopper, WUNTRACED);
    kill(stopper, SIGCONT);
    wait_for("goes on", stopper, 0);
    CHILD(group, start(1, spin); start(1, sleep_for_ever); spin(NULL));
    pause_shortly();
    kill(group, SIGSTOP);
    wait_for("with threads", group, WUNTRACED);
    printf("waits: %d\n", waitpid(group, &status, WNOHANG) == 0);
    kill(group, SIGCONT);
    if (waitpid(group, &status, WCONTINUED) == group)
        printf("goes on: %d\n", WIFCONTINUED(status));
    kill(group, SIGSTOP);
    wait_for("again", group, WUNTRACED);
    kill(group, SIGTERM);
    pause_shortly();
    printf("a stopped task takes nothing else: %d\n", waitpid(group, &status, WNOHANG) == 0);
    kill(group, SIGKILL);
    wait_for("but SIGKILL", group, 0);
    CHILD(sleeper, struct timespec time = {.tv_nsec = 100000000}; _exit(nanosleep(&time, NULL) == 0));
    pause_shortly();
    kill(sleeper, SIGSTOP);
    wait_for("asleep", sleeper, WUNTRACED);
    kill(sleeper, SIGCONT);
    wait_for("and sleeps on", sleeper, 0);
}

static void interrupting(void)
{
    int ends[2];
    char byte = '-';
    pid_t self = getpid();
    if (pipe(ends) != 0)
        exit(98);
    for (int flags = 0;; flags = SA_RESTART) {
        handle(SIGUSR1, flags);
        CHILD(writer, pause_shortly(); kill(self, SIGUSR1); pause_shortly();
              _exit(write(ends[1], "x", 1) == 1));
        long count = read(ends[0], &byte, 1);
        printf("read with %s: %ld errno %d\n", flags == 0 ? "nothing" : "SA_RESTART", count,
               count < 0 ? errno : 0);
        if (count < 0)
            count = read(ends[0], &byte, 1);
        wait_for("writer", writer, 0);
        if (flags != 0)
            break;
    }
    CHILD(alarm_clock, pause_shortly(); kill(self, SIGUSR1); _exit(0));
    struct timespec time = {.tv_sec = 100}, left = {0};
    printf("nanosleep: %d errno %d\n", nanosleep(&time, &left), errno);
    printf("time left: %d\n", left.tv_sec > 50);
    wait_for("alarm clock", alarm_clock, 0);
}

static void children(void)
{
    sigset_t set, before;
    siginfo_t info = {0};
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    handle(SIGCHLD, 0);
    caught = 0;
    sigprocmask(SIG_BLOCK, &set, &before);
    CHILD(child, _exit(7));
    sigsuspend(&before);
    sigprocmask(SIG_SETMASK, &before, NULL);
    printf("SIGCHLD: %d\n", caught == SIGCHLD);
    waitid(P_PID, child, &info, WEXITED | WNOWAIT);
    printf("waitid: code %d status %d\n", info.si_code, info.si_status);
    wait_for("child", child, 0);
    signal(SIGCHLD, SIG_IGN);
    CHILD(forgotten, _exit(0));
    wait_for("an ignored child", forgotten, 0);
    signal(SIGCHLD, SIG_DFL);
    wait_for("nobody", -1, 0);
}

int main(int count, char **arguments)
{
    setvbuf(stdout, NULL, _IONBF, 0);
    program = arguments[0];
    if (count > 1) {
        printf("alone: %d\n", getpid() == syscall(SYS_gettid));
        return 6;
    }
    alone();
    threads();
    stopping();
    interrupting();
    children();
    return 0;
}
