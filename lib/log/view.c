/* SPDX-License-Identifier: MIT */
/*
 * A view is the list of segments that made up a partition at one moment.
 *
 * It never changes, but for files that are opened on demand and given back; a newer view takes its place,
 * and what the older one had open. Readers count a view, a view counts its open segments, and cursors and
 * poll results count segments too: so a file that was replaced stays mapped for as long as somebody reads it.
 * Segments are ordered by base offset and do not overlap. Which view is the current one is the partition's
 * affair, not ours, and so is the lock under which segments come and go.
 */
#include "log/view.h"

#include "base/error.h"
#include "base/memory.h"

#define VIEW_FEW 4 /* entries that are looked at one after the other */

int kfl__view_create(int32_t entry_count, struct kfl__view **out_view)
{
    assert(entry_count >= 0);
    struct kfl__view *view = kfl__alloc(sizeof *view + (size_t)entry_count * sizeof view->entries[0]);
    if (view == NULL)
        return kfl__fail(KFL_E_NOMEM, "a list of %d segments: out of memory", entry_count);
    kfl__count_init(&view->count);
    view->entry_count = entry_count;
    *out_view = view;
    return 0;
}

void kfl__view_acquire(struct kfl__view *view)
{
    kfl__count_acquire(&view->count);
}

void kfl__view_release(struct kfl__view *view)
{
    if (view == NULL || !kfl__count_release(&view->count))
        return;
    for (int32_t i = 0; i < view->entry_count; i++)
        kfl__segment_release(view->entries[i].segment);
    kfl__free(view);
}

int32_t kfl__view_find(const struct kfl__view *view, int64_t offset)
{
    int32_t low = 0, left = view->entry_count, below = 0;
    /* Without a branch on what is found: who reads at random cannot have it foretold. */
    while (left > VIEW_FEW) {
        int32_t half = left / 2;
        low += view->entries[low + half].base_offset <= offset ? half : 0;
        left -= half;
    }
    /* None of these looks waits for another one. */
    for (int32_t i = 1; i < left; i++)
        below += view->entries[low + i].base_offset <= offset;
    return left > 0 ? low + below : -1;
}

int32_t kfl__view_find_segment(const struct kfl__view *view, int64_t segment_id)
{
    /* The newest are asked for most. */
    for (int32_t i = view->entry_count - 1; i >= 0; i--)
        if (view->entries[i].segment_id == segment_id)
            return i;
    return -1;
}

void kfl__view_inherit(struct kfl__view *view, struct kfl__view *older)
{
    int32_t at = 0;
    for (int32_t i = 0; i < older->entry_count; i++) {
        struct kfl__view_entry *from = &older->entries[i];
        if (from->segment == NULL)
            continue;
        while (at < view->entry_count && view->entries[at].base_offset < from->base_offset)
            at++;
        if (at == view->entry_count)
            return;
        struct kfl__view_entry *to = &view->entries[at];
        if (to->segment_id == from->segment_id && to->segment == NULL) {
            to->segment = from->segment;
            to->used = from->used;
            from->segment = NULL;
        }
    }
}

struct kfl__segment *kfl__view_keep(struct kfl__view *view, int32_t entry, struct kfl__segment *segment)
{
    struct kfl__view_entry *keeper = &view->entries[entry];
    assert(entry >= 0 && entry < view->entry_count && keeper->segment_id == segment->id);
    if (keeper->segment == NULL)
        keeper->segment = segment;
    else
        kfl__segment_release(segment);
    return keeper->segment;
}

int32_t kfl__view_take_unused(struct kfl__view *view, uint64_t used_before, int32_t *io_entry, int32_t room,
                              struct kfl__segment **out_segments)
{
    int32_t count = 0;
    for (; *io_entry < view->entry_count && count < room; ++*io_entry) {
        struct kfl__view_entry *entry = &view->entries[*io_entry];
        if (entry->segment == NULL || entry->used >= used_before ||
            atomic_load_explicit(&entry->segment->count.shares, memory_order_acquire) != 1)
            continue;
        out_segments[count++] = entry->segment;
        entry->segment = NULL;
    }
    return count;
}
