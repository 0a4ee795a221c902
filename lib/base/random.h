/* SPDX-License-Identifier: MIT */
#ifndef KFL_BASE_RANDOM_H
#define KFL_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* From the kernel, else from clock and addresses: nothing secret hangs on it. Never fails. */
void kfl__random_bytes(void *bytes, size_t size);
uint64_t kfl__random64(void);

#endif
