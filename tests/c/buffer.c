/* The buffer program of the slides: does a child that writes to memory write to
 * its parent's? With the argument `vm` the two share one address space. */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

enum { STACK = 64 * 1024 };

static int child(void *argument)
{
    char *buffer = argument;
    printf("child sees: %s\n", buffer);
    fflush(stdout);
    strcpy(buffer, "hello from child");
    return 0;
}

int main(int argc, char **argv)
{
    int flags = SIGCHLD;
    if (argc > 1 && strcmp(argv[1], "vm") == 0)
        flags |= CLONE_VM;

    char buffer[100];
    strcpy(buffer, "hello from parent");
    char *stack = malloc(STACK);
    if (stack == NULL)
        return 1;

    pid_t pid = clone(child, stack + STACK, flags, buffer);
    if (pid < 0) {
        perror("clone");
        return 1;
    }
    int status;
    if (waitpid(pid, &status, 0) != pid) {
        perror("waitpid");
        return 1;
    }
    printf("the child's wait status is %d; parent's buffer: %s\n", status, buffer);
    free(stack);
    return 0;
}
