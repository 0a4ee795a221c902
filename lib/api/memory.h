/* SPDX-License-Identifier: MIT */
/* Stores and state without a directory of the caller's. */
#ifndef KFL_API_MEMORY_H
#define KFL_API_MEMORY_H

#include "state/state.h"

/* ":memory:": a fresh folder on a file system in memory. Sweeps those whose processes are gone. Owned path: kfl__free. */
int kfl__memory_make(char **out_path);
/* With all that is in it. Keeps the thread's words. */
void kfl__memory_remove(const char *path);
/* A state file that has no name. */
int kfl__memory_state(const struct kfl__state_binding *binding, struct kfl__state **out_state);

#endif
