/* SPDX-License-Identifier: MIT */
/* Who opened the store, how it was closed, and what recovery did: the catalog's rows, copied. */
#include "catalog/history.h"
#include "api/store.h"
#include "base/memory.h"

struct kfl_history {
    struct kfl__history_row *rows;
    kfl_history_entry *entries; /* one a row, pointing into it */
    int32_t count, room;
};

static int history_add(const struct kfl__history_row *row, void *context)
{
    kfl_history *history = context;
    if (history->count == history->room) {
        int32_t room = history->room == 0 ? 64 : history->room * 2;
        struct kfl__history_row *grown = kfl__realloc(history->rows, (size_t)room * sizeof *grown);
        if (grown == NULL)
            return kfl__fail(KFL_E_NOMEM, "the history: out of memory");
        history->rows = grown;
        history->room = room;
    }
    history->rows[history->count++] = *row;
    return 0;
}

static int history_read(struct kfl__catalog_txn *txn, void *context)
{
    kfl_history *history = context;
    history->count = 0;
    return kfl__history_visit(txn, history_add, history);
}

/* Once the rows stay where they are. */
static int history_point(kfl_history *history)
{
    history->entries = kfl__alloc_array((size_t)history->count + 1, sizeof *history->entries);
    if (history->entries == NULL)
        return kfl__fail(KFL_E_NOMEM, "the history: out of memory");
    for (int32_t i = 0; i < history->count; i++) {
        const struct kfl__history_row *row = &history->rows[i];
        history->entries[i] = (kfl_history_entry){
            .time_ms = row->time_ms,
            .process_id = row->process_id,
            .kind = row->kind,
            .partition = row->partition,
            .topic = row->topic,
            .program = row->program,
            .text = row->text,
        };
    }
    return 0;
}

int kfl_history_list(kfl_store *store, kfl_history **out_history)
{
    int r = kfl__store_check(store);
    if (r == 0 && out_history == NULL)
        r = kfl__fail(KFL_E_INVALID, "kfl_history_list: out_history is NULL");
    if (r == 0)
        r = kfl__core_enter(store->core);
    if (r < 0)
        return r;
    kfl_history *history = kfl__alloc(sizeof *history);
    if (history == NULL)
        r = kfl__fail(KFL_E_NOMEM, "the history: out of memory");
    if (r == 0)
        r = kfl__catalog_look(store->core->catalog, history_read, history);
    if (r == 0)
        r = history_point(history);
    kfl__core_leave(store->core);
    if (r < 0) {
        kfl_history_release(history);
        return r;
    }
    *out_history = history;
    return 0;
}

int32_t kfl_history_count(const kfl_history *history)
{
    return history == NULL ? 0 : history->count;
}

const kfl_history_entry *kfl_history_get(const kfl_history *history, int32_t index)
{
    return history == NULL || index < 0 || index >= history->count ? NULL
                                                                   : &history->entries[index];
}

void kfl_history_release(kfl_history *history)
{
    if (history == NULL)
        return;
    kfl__free(history->rows);
    kfl__free(history->entries);
    kfl__free(history);
}
