/* SPDX-License-Identifier: MIT */
/* Read, raise, write back, inside one change: the write lock makes it one step. */
#include "catalog/counters.h"

#include "base/check.h"
#include "catalog/rows.h"

struct counters_head {
    uint8_t version;
    uint8_t zero[3];
    uint32_t next_slot;
    uint64_t next_topic_id;
    uint64_t next_history;
    uint64_t topics_version;
};
_Static_assert(sizeof(struct counters_head) == 32, "on disk");

int kfl__counters_get(struct kfl__catalog_txn *txn, struct kfl__counters *out_counters)
{
    struct kfl__key key;
    kfl__key_begin(&key, KFL_TABLE_COUNTERS);
    struct counters_head head = {.next_topic_id = 1, .next_history = 1, .topics_version = 1};
    struct kfl__row row;
    int r = kfl__row_get(txn, &key, &row);
    if (r == 0)
        r = kfl__row_head(txn, &row, 1, &head, sizeof head, NULL, NULL);
    if (r < 0)
        return r;
    *out_counters = (struct kfl__counters){
        .next_topic_id = head.next_topic_id,
        .next_history = head.next_history,
        .topics_version = head.topics_version,
        .next_slot = head.next_slot,
    };
    return 0;
}

int kfl__counters_put(struct kfl__catalog_txn *txn, const struct kfl__counters *counters)
{
    assert(counters->next_topic_id > 0 && counters->next_history > 0);
    struct kfl__key key;
    kfl__key_begin(&key, KFL_TABLE_COUNTERS);
    struct counters_head head = {
        .version = 1,
        .next_slot = counters->next_slot,
        .next_topic_id = counters->next_topic_id,
        .next_history = counters->next_history,
        .topics_version = counters->topics_version,
    };
    return kfl__row_put(txn, &key, &head, sizeof head, NULL, 0);
}
