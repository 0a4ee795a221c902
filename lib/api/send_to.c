/* SPDX-License-Identifier: MIT */
/* Send with what seldom changes put aside, and the outcome in one number: each parameter costs a binding 30 ns. */
#include "api/producer.h"

#include <string.h>

/* A partition above, an offset below, and 1 more so that 0 is left for failures. */
#define SENT_OFFSET_BITS 46
_Static_assert(KFL_SENT_UNTOLD == (INT64_C(1) << SENT_OFFSET_BITS) - 1,
               "the header has it in digits");
_Static_assert(KFL_PARTITIONS_MAX < 1 << (63 - SENT_OFFSET_BITS), "the sign is left out");

static int64_t send_to_refuse(void)
{
    kfl__fail(KFL_E_INVALID,
              "kfl_producer_send_to: the destination is NULL, or a size is negative");
    return 0;
}

/* In front of the bytes where the destination says so; they need not be aligned. */
static inline size_t send_to_size(const kfl_destination *to, const char *bytes, int32_t size)
{
    size_t own = (size_t)size;
    if (to->size_before != 0 && bytes != NULL)
        memcpy(&own, bytes - to->size_before, sizeof own);
    return own;
}

int64_t kfl_producer_send_to(const kfl_destination *to, const void *key, const void *value)
{
    if (KFL_UNLIKELY(to == NULL || (to->key_size | to->value_size | to->size_before) < 0))
        return send_to_refuse();
    int64_t offset = KFL_OFFSET_PENDING;
    int partition = kfl_producer_send(
        to->producer, to->topic, to->partition, key, send_to_size(to, key, to->key_size), value,
        send_to_size(to, value, to->value_size), NULL, 0, to->timestamp_ms, &offset);
    if (KFL_UNLIKELY(partition < 0))
        return 0;
    if (KFL_UNLIKELY(offset < 0 || offset > KFL_SENT_UNTOLD))
        offset = KFL_SENT_UNTOLD;
    return ((int64_t)partition << SENT_OFFSET_BITS | offset) + 1;
}
