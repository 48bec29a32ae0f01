/* The descriptor program of the slides: does a child that closes a descriptor
 * close its parent's? With the argument `files` the two share one table. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STACK = 64 * 1024 };

static int child(void *argument)
{
    int fd = *(int *)argument;
    printf("child: closing the descriptor\n");
    fflush(stdout);
    close(fd);
    return 0;
}

int main(int argc, char **argv)
{
    int flags = SIGCHLD | CLONE_FS | CLONE_SIGHAND | CLONE_VM;
    if (argc > 1 && strcmp(argv[1], "files") == 0)
        flags |= CLONE_FILES;

    int fd = open("/dev/null", O_RDWR);
    char *stack = malloc(STACK);
    if (fd < 0 || stack == NULL)
        return 1;

    pid_t pid = clone(child, stack + STACK, flags, &fd);
    if (pid < 0) {
        perror("clone");
        return 1;
    }
    int status;
    if (waitpid(pid, &status, 0) != pid) {
        perror("waitpid");
        return 1;
    }
    printf("the child's wait status is %d\n", status);
    if (write(fd, "x", 1) < 0)
        printf("parent: %s, child closed our file descriptor\n", strerror(errno));
    else
        printf("parent: the descriptor is still open\n");
    free(stack);
    return 0;
}
