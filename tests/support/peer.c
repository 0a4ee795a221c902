/* SPDX-License-Identifier: MIT */
#include "peer.h"

#include <check.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fork.h"

void peer_start(struct peer *peer, void (*run)(struct peer *self, void *context), void *context)
{
    int up[2], down[2];
    ck_assert_int_eq(pipe(up), 0);
    ck_assert_int_eq(pipe(down), 0);
    pid_t pid = fork_among_threads();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        close(up[0]);
        close(down[1]);
        struct peer self = {.pid = 0, .from = down[0], .to = up[1]};
        run(&self, context);
        _exit(0);
    }
    close(up[1]);
    close(down[0]);
    *peer = (struct peer){.pid = pid, .from = up[0], .to = down[1]};
}

void peer_tell(struct peer *peer)
{
    ck_assert_int_eq(write(peer->to, "!", 1), 1);
}

void peer_await(struct peer *peer)
{
    char byte;
    ck_assert_int_eq(read(peer->from, &byte, 1), 1);
}

static void peer_close(struct peer *peer)
{
    close(peer->from);
    close(peer->to);
}

void peer_kill(struct peer *peer)
{
    ck_assert_int_eq(kill(peer->pid, SIGKILL), 0);
    ck_assert_int_eq(waitpid(peer->pid, NULL, 0), peer->pid);
    peer_close(peer);
}

void peer_join(struct peer *peer)
{
    int status = 0;
    ck_assert_int_eq(waitpid(peer->pid, &status, 0), peer->pid);
    ck_assert_int_eq(status, 0);
    peer_close(peer);
}
