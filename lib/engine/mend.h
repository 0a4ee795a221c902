/* SPDX-License-Identifier: MIT */
/* A tail on its way to being mended: what was walked is copied or kept, and made true in the catalog. */
#ifndef KFL_ENGINE_MEND_H
#define KFL_ENGINE_MEND_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/copy.h"
#include "engine/recover.h"

/* What the appenders need to know of the file that takes appends; id 0: none. */
struct kfl__active {
    int64_t id, size, base_offset, first_timestamp_ms, max_timestamp_ms, records;
    uint64_t seed, place, time_place;
    uint32_t batches, times;
};

/* A tail on its way to being mended. */
struct kfl__mend {
    struct kfl__partition *partition;
    struct kfl__segment_row *rows; /* those that may take part */
    int32_t row_count;
    struct kfl__tail tail;
    struct kfl__copy copy;
    bool copied;
    bool keep_last; /* the last file stays active as it is */
    struct kfl__active active;
    int64_t end_offset; /* of the partition from now on */
    uint32_t epoch;
    const char *story; /* for the history, instead of what befell a tail; NULL: that */
    const char *text; /* while it is made true: what the history gets; NULL: nothing worth a line */
    int64_t *trash;   /* room for each row */
    int32_t trash_count;
};

/*
 * The tail was walked: copy what is not durable, or keep the last file where nothing lies behind its durable
 * place (if may_keep), and make it true in the catalog. The slot's words are the caller's affair, and so are
 * the files of `trash`, which count for nothing from then on.
 */
int kfl__mend_run(struct kfl__mend *mend, bool may_keep);
void kfl__mend_release(struct kfl__mend *mend);
/* Where the tail ends when it was mended: the new file, or the old one's last believable place. */
uint64_t kfl__mend_durable_word(const struct kfl__mend *mend);

/* A file that stays active although others wrote it; its signposts are laid anew where they do not lead to `place`. */
int kfl__active_of_file(struct kfl__partition *partition, const struct kfl__segment_row *row, uint64_t place,
                        enum kfl__segment_access access, struct kfl__active *out_active);
/* borrowed; NULL: it is not there. */
const struct kfl__segment_row *kfl__segment_row_find(const struct kfl__segment_row *rows, int32_t count, int64_t id);

#endif
