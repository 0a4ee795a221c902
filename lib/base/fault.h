/* SPDX-License-Identifier: MIT */
/*
 * Named fault points, in builds with -Dfault_points=true only; elsewhere they cost nothing.
 *
 * KAFKALITE_FAULT="name[:n]=action[,…]" arms them at the first use: at the n-th passage (1 where it
 * is not said; "*" means each) of the point `name`, action `kill` ends the process by SIGKILL,
 * `stop` stops it by SIGSTOP, a number or a name such as ENOSPC makes the point answer that errno,
 * and `exit` ends it by _exit(7). Tests in the same process call kfl__fault_arm() instead.
 * KAFKALITE_FAULT_LIST=FILE appends each point's name to FILE once, so that a sweep can learn them.
 */
#ifndef KFL_BASE_FAULT_H
#define KFL_BASE_FAULT_H

#ifdef KFL_FAULT_POINTS
/* 0, or the errno that this passage is to fail with. */
int kfl__fault(const char *name);
/* NULL disarms all. Returns 0, or KFL_E_BAD_VALUE. */
int kfl__fault_arm(const char *plan);
#define KFL_FAULT(name) kfl__fault(name)
#else
#define KFL_FAULT(name) 0
#endif

/* A point that can only kill, stop or end the process: a place between two steps. */
#define KFL_STEP(name) ((void)KFL_FAULT(name))

#endif
