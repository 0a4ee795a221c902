/* SPDX-License-Identifier: MIT */
/* Another process, in step with the test: each side tells the other to go on. */
#ifndef KFL_TESTS_PEER_H
#define KFL_TESTS_PEER_H

#include <sys/types.h>

struct peer {
    pid_t pid; /* 0 in the peer itself */
    int from, to;
};

/* Runs run(self, context) in a child, which then ends with 0. */
void peer_start(struct peer *peer, void (*run)(struct peer *self, void *context), void *context);
/* From either side. A side whose partner is gone fails. */
void peer_tell(struct peer *peer);
void peer_await(struct peer *peer);
/* SIGKILL, and wait until it is gone. */
void peer_kill(struct peer *peer);
/* Wait for its end, which must be a good one. */
void peer_join(struct peer *peer);

#endif
