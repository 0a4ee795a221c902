/* SPDX-License-Identifier: MIT */
#ifndef KFL_BASE_RANDOM_H
#define KFL_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* From the kernel. Never fails: falls back to clock and addresses, since nothing secret hangs on it. */
void kfl__random_bytes(void *bytes, size_t size);
uint64_t kfl__random64(void);

#endif
