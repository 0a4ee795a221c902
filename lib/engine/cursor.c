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
    if (cursor->segment != NULL) {
        kfl__segment_release(cursor->segment);
        cursor->files[cursor->entry % KFL_CURSOR_FILES] = NULL;
        cursor->segment = NULL;
    }
    cursor->verified = false;
    cursor->touched = cursor->limit = cursor->place = 0;
    cursor->follow_word = 0;
}

void kfl__cursor_drop_files(struct kfl__cursor *cursor)
{
    kfl__cursor_drop(cursor);
    for (int i = 0; i < KFL_CURSOR_FILES; i++) {
        kfl__segment_release(cursor->files[i]);
        cursor->files[i] = NULL;
    }
}

void kfl__cursor_close(struct kfl__cursor *cursor)
{
    kfl__cursor_drop_files(cursor);
    kfl__view_release(cursor->view);
    cursor->view = NULL;
}

void kfl__cursor_stand(struct kfl__cursor *cursor, int32_t entry, struct kfl__segment *segment)
{
    int32_t at = entry % KFL_CURSOR_FILES;
    kfl__segment_release(cursor->files[at]);
    cursor->files[at] = segment;
    cursor->file_entries[at] = entry;
    cursor->segment = segment;
    cursor->entry = entry;
}

/* Where batches hold many records, signposts are few and near, and which one it is follows from more than the offset. */
static inline void cursor_fetch_ahead(const struct kfl__cursor *cursor, const struct kfl__segment *segment, int32_t entry)
{
    if (segment != NULL && cursor->header.record_count == 1)
        kfl__lookup_fetch(segment, (uint64_t)(cursor->offset - cursor->view->entries[entry].base_offset), cursor->stride);
}

/* Stand in the file of this entry, if it is open and the view still true; else nowhere. */
static void cursor_open_file(struct kfl__cursor *cursor, int32_t entry)
{
    struct kfl__segment *segment = NULL;
    if (entry >= 0 && kfl__cursor_version(cursor) == cursor->view->manifest_version)
        segment = kfl__partition_opened(cursor->partition, cursor->view, entry);
    cursor_fetch_ahead(cursor, segment, entry); /* before anything that can wait */
    cursor->segment = NULL;
    if (segment != NULL)
        kfl__cursor_stand(cursor, entry, segment);
}

/*
 * The file that the cursor stood in stays at hand; where maps are short, it does not. Whether it is another one is not asked
 * where that is not needed: who reads at random cannot have it foretold.
 */
static void cursor_change_file(struct kfl__cursor *cursor, int32_t entry)
{
    uint32_t at = (uint32_t)entry % KFL_CURSOR_FILES;
    if (KFL_UNLIKELY(kfl__segment_crowded(2)) && entry != cursor->entry)
        kfl__cursor_drop(cursor);
    if (KFL_UNLIKELY(cursor->files[at] == NULL || cursor->file_entries[at] != entry ||
                     kfl__cursor_version(cursor) != cursor->view->manifest_version)) {
        cursor_open_file(cursor, entry);
        return;
    }
    cursor->segment = cursor->files[at];
    cursor->entry = entry;
    cursor_fetch_ahead(cursor, cursor->segment, entry);
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
    if (cursor->view != NULL)
        cursor_change_file(cursor, kfl__view_find(cursor->view, offset));
    cursor->verified = false;
    cursor->touched = cursor->limit = cursor->place = 0; /* looked up in the file when it is read */
}
