/* Preloaded: forks where the main thread yields, and lets the parent wait for the child. */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int sched_yield(void) {
    if (getpid() != syscall(SYS_gettid))
        return (int)syscall(SYS_sched_yield);
    pid_t child = fork();
    if (child == 0)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    else if (child > 0)
        waitpid(child, NULL, 0);
    return child < 0 ? -1 : 0;
}
