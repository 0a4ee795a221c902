/* SPDX-License-Identifier: MIT */
/*
 * Where a reader stands.
 *
 * A cursor keeps shares: of a list of files, of the one that it stands in, and of a few that it stood in before. Each share
 * that it takes anew costs locked instructions and a lock that others want, which is much of what a record by its offset
 * costs beside the memory itself.
 */
#include "engine/read.h"
#include "engine/topics.h"
#include "log/lookup.h"

void kfl__cursor_init(struct kfl__cursor *cursor, struct kfl__partition *partition, int64_t offset, bool durable)
{
    *cursor = (struct kfl__cursor){.partition = partition, .offset = offset, .durable = durable};
}

void kfl__cursor_drop(struct kfl__cursor *cursor)
{
    kfl__segment_release(cursor->segment);
    cursor->segment = NULL;
    cursor->verified = false;
    cursor->touched = cursor->limit = cursor->place = 0;
    cursor->follow_word = 0;
}

void kfl__cursor_drop_recent(struct kfl__cursor *cursor)
{
    for (int i = 0; i < KFL_CURSOR_RECENT; i++) {
        kfl__segment_release(cursor->recent[i]);
        cursor->recent[i] = NULL;
    }
}

void kfl__cursor_close(struct kfl__cursor *cursor)
{
    kfl__cursor_drop(cursor);
    kfl__cursor_drop_recent(cursor);
    kfl__view_release(cursor->view);
    cursor->view = NULL;
}

/* The file that the cursor stands in is left, but kept at hand; where maps are short, it is not. */
static void cursor_leave_file(struct kfl__cursor *cursor)
{
    if (cursor->segment != NULL && !kfl__segment_crowded(2)) {
        int32_t at = cursor->entry % KFL_CURSOR_RECENT;
        kfl__segment_release(cursor->recent[at]);
        cursor->recent[at] = cursor->segment;
        cursor->recent_entries[at] = cursor->entry;
        cursor->segment = NULL;
    }
    kfl__cursor_drop(cursor);
}

/* Where batches hold many records, signposts are few and near, and which one it is follows from more than the offset. */
static inline void cursor_fetch_ahead(const struct kfl__cursor *cursor, const struct kfl__segment *segment, int32_t entry)
{
    if (segment != NULL && cursor->header.record_count == 1)
        kfl__lookup_fetch(segment, (uint64_t)(cursor->offset - cursor->view->entries[entry].base_offset), cursor->stride);
}

/* Stand in the file of this entry, if the view is still true and the file open; else nowhere. */
static void cursor_change_file(struct kfl__cursor *cursor, int32_t entry)
{
    struct kfl__segment *segment = NULL;
    if (entry >= 0 && kfl__cursor_version(cursor) == cursor->view->manifest_version) {
        int32_t at = entry % KFL_CURSOR_RECENT;
        if (cursor->recent[at] != NULL && cursor->recent_entries[at] == entry) {
            segment = cursor->recent[at];
            cursor->recent[at] = NULL;
        } else {
            segment = kfl__partition_opened(cursor->partition, cursor->view, entry);
        }
    }
    cursor_fetch_ahead(cursor, segment, entry); /* before anything that can wait */
    cursor_leave_file(cursor);
    cursor->segment = segment;
    cursor->entry = entry;
}

void kfl__cursor_seek(struct kfl__cursor *cursor, int64_t offset)
{
    if (cursor->offset == offset)
        return;
    cursor->offset = offset;
    cursor->idle_slot = NULL;
    cursor->follow_word = 0;
    if (cursor->verified && cursor->header.base_offset <= offset && offset < kfl__batch_end_offset(&cursor->header))
        return;
    if (cursor->view != NULL) {
        int32_t entry = kfl__view_find(cursor->view, offset);
        if (cursor->segment == NULL || entry != cursor->entry)
            cursor_change_file(cursor, entry);
        else
            cursor_fetch_ahead(cursor, cursor->segment, entry);
    }
    cursor->verified = false;
    cursor->touched = cursor->place = 0; /* looked up in the file when it is read */
}
