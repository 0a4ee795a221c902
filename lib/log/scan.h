/* SPDX-License-Identifier: MIT */
/*
 * Walk the batches of one file by reading, not through a map: what may be cut, unreadable or
 * foreign is told and not died of. Needs no store. The rules are those of log/walk.
 */
#ifndef KFL_LOG_SCAN_H
#define KFL_LOG_SCAN_H

#include <stddef.h>
#include <stdint.h>

#include "format/batch.h"
#include "format/layout.h"

struct kfl__scan {
    /* constant after open */
    int fd;
    struct kfl__segment_header header; /* checked */
    uint64_t file_size;                /* may be less than header.size: then the file was cut */
    /* the walk; set by kfl__scan_begin */
    uint64_t place; /* of the next batch */
    uint64_t limit; /* bytes that may count */
    int64_t next_offset;
    uint32_t epoch;
    /* of the last step: the whole batch, until the next call; and why there was none */
    const uint8_t *batch;
    const char *what;
    /* what was read: [from, from + size) of the file */
    uint8_t *window;
    size_t room, size;
    uint64_t from;
    uint64_t bad_from, bad_to; /* of it, these bytes could not be read and stand as zeros */
    const char *bad_what;
    /* a payload unpacked */
    uint8_t *unpacked;
    size_t unpacked_room;
};

/*
 * Open and check the header. 0, KFL_FILE_MISSING, KFL_E_CORRUPT (no segment, or a damaged header:
 * then its seed is not known and nothing in it can be verified), KFL_E_VERSION. Begun at the first
 * batch, up to the end of the file. Owned: kfl__scan_close.
 */
int kfl__scan_open(int directory, const char *name, struct kfl__scan *out_scan);
void kfl__scan_close(struct kfl__scan *scan); /* takes one that was zeroed */
/* Walk [place, limit) from here on. A limit behind the end of the file is the file's end. */
void kfl__scan_begin(struct kfl__scan *scan, uint64_t place, uint64_t limit, int64_t next_offset);

#define KFL_SCAN_BATCH                                                                             \
    1 /* *out_header is a batch of records, which the scan has passed; scan->batch are its bytes */
#define KFL_SCAN_END 2 /* an end mark; the scan stays in front of it */
#define KFL_SCAN_BAD 3 /* no batch stands here, scan->what says why; the scan stays */
#define KFL_SCAN_ORDER                                                                             \
    4 /* it verifies, but its offset or its writer epoch cannot follow; the scan stays */
#define KFL_SCAN_NEWER 5 /* it verifies, and is written by a newer library; the scan stays */
/*
 * One of these, 0 where nothing is left up to the limit, or an error of this process (KFL_E_NOMEM).
 */
int kfl__scan_step(struct kfl__scan *scan, struct kfl__batch_header *out_header);
/* Go behind a batch in spite of its order; offsets and epochs go on from the highest. */
void kfl__scan_pass(struct kfl__scan *scan, const struct kfl__batch_header *header);

/*
 * Look behind the place of the scan for the next batch or end mark that verifies and can follow,
 * and stand in front of it: 1 and its header. 0: there is none up to the limit, where the scan then
 * stands.
 */
int kfl__scan_search(struct kfl__scan *scan, struct kfl__batch_header *out_header);
/*
 * 1 when there is any byte but zero, or one that cannot be read, from the place of the scan up to
 * the limit.
 */
int kfl__scan_anything(struct kfl__scan *scan);

/*
 * Decode the records of the batch that the last step passed. 0 and the first one's timestamp (-1:
 * there is none); KFL_E_CORRUPT (no text), KFL_E_UNSUPPORTED (a codec that this build lacks),
 * KFL_E_NOMEM.
 */
int kfl__scan_records(struct kfl__scan *scan, const struct kfl__batch_header *header,
                      int64_t *out_first_timestamp_ms);

#endif
