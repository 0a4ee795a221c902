/* SPDX-License-Identifier: MIT */
/* The store's diary: numbered entries, of which the newest thousand stay. */
#include "catalog/history.h"

#include <stddef.h>
#include <string.h>

#include "base/check.h"
#include "catalog/counters.h"
#include "catalog/rows.h"

#define HISTORY_MAX 1000

struct history_head {
    uint8_t version;
    uint8_t topic_size; /* 255 at most, as there is room for in a row */
    uint16_t text_size;
    int32_t kind;
    int32_t partition;
    int32_t zero;
    int64_t time_ms;
    int64_t process_id;
    char program[16];
};
_Static_assert(sizeof(struct history_head) == 48, "on disk; topic and text follow");

static void history_key(struct kfl__key *key, uint64_t number)
{
    kfl__key_begin(key, KFL_TABLE_HISTORY);
    kfl__key_add64(key, number);
}

int kfl__history_add(struct kfl__catalog_txn *txn, const struct kfl__history_row *row)
{
    struct kfl__counters counters;
    int r = kfl__counters_get(txn, &counters);
    if (r < 0)
        return r;
    uint64_t number = counters.next_history++;
    struct history_head head = {
        .version = 1,
        .topic_size = (uint8_t)strnlen(row->topic, sizeof row->topic - 1),
        .text_size = (uint16_t)strnlen(row->text, sizeof row->text - 1),
        .kind = row->kind,
        .partition = row->partition,
        .time_ms = row->time_ms,
        .process_id = row->process_id,
    };
    memcpy(head.program, row->program, strnlen(row->program, sizeof head.program - 1));
    char tail[sizeof row->topic + sizeof row->text];
    memcpy(tail, row->topic, head.topic_size);
    memcpy(tail + head.topic_size, row->text, head.text_size);

    struct kfl__key key;
    history_key(&key, number);
    r = kfl__row_put(txn, &key, &head, sizeof head, tail, (size_t)head.topic_size + head.text_size);
    if (r == 0 && number > HISTORY_MAX) {
        history_key(&key, number - HISTORY_MAX);
        r = kfl__row_remove(txn, &key);
    }
    return r < 0 ? r : kfl__counters_put(txn, &counters);
}

struct history_visit {
    int (*visit)(const struct kfl__history_row *row, void *context);
    void *context;
};

static int visit_entry(struct kfl__catalog_txn *txn, const struct kfl__row *row, void *context)
{
    const struct history_visit *outer = context;
    struct history_head head;
    const uint8_t *tail;
    size_t tail_size;
    int r = kfl__row_head(txn, row, 1, &head, sizeof head, &tail, &tail_size);
    if (r < 0)
        return r;
    struct kfl__history_row entry = {
        .time_ms = head.time_ms,
        .process_id = head.process_id,
        .kind = head.kind,
        .partition = head.partition,
    };
    if (tail_size != (size_t)head.topic_size + head.text_size ||
        head.text_size >= sizeof entry.text || head.program[sizeof head.program - 1] != '\0')
        return kfl__row_fail(txn, row, "is no history entry");
    memcpy(entry.program, head.program, sizeof entry.program);
    memcpy(entry.topic, tail, head.topic_size);
    memcpy(entry.text, tail + head.topic_size, head.text_size);
    r = outer->visit(&entry, outer->context);
    return r < 0 ? r : 0;
}

int kfl__history_visit(struct kfl__catalog_txn *txn,
                       int (*visit)(const struct kfl__history_row *row, void *context),
                       void *context)
{
    struct kfl__key prefix;
    kfl__key_begin(&prefix, KFL_TABLE_HISTORY);
    struct history_visit outer = {visit, context};
    return kfl__rows_visit(txn, &prefix, visit_entry, &outer);
}
