/* SPDX-License-Identifier: MIT */
/* What the files of one partition are, at one moment, for those who look on and change nothing. */
#ifndef KFL_API_MANIFEST_H
#define KFL_API_MANIFEST_H

#include <stdbool.h>
#include <stdint.h>

#include "catalog/segments.h"
#include "catalog/topics.h"
#include "engine/core.h"
#include "format/names.h"
#include "state/slot.h"

struct kfl__manifest {
    struct kfl__partition_row partition;
    struct kfl__slot
        *slot; /* NULL: not used since the state file was made; the catalog is all there is */
    struct kfl__segment_row
        *rows;             /* those that hold records, in order of offset, then the prepared ones */
    int32_t count;         /* that hold records */
    int32_t prepared;      /* behind them */
    int32_t active;        /* which of them takes appends; -1: none */
    uint64_t active_place; /* bytes of that one that are published */
    int64_t start_offset, durable_offset, end_offset;
    int64_t committed_offset; /* the largest of any group; -1: none */
};

/*
 * Look at catalog and slot until they agree. Recovers nothing: of a partition without a slot only
 * what is known to be durable counts. KFL_E_UNKNOWN_TOPIC_OR_PARTITION, KFL_E_CORRUPT (the
 * catalog), … Owned: kfl__manifest_release.
 */
int kfl__manifest_read(struct kfl__core *core, uint64_t topic_id, int32_t number,
                       struct kfl__manifest *out_manifest);
void kfl__manifest_release(struct kfl__manifest *manifest); /* takes a zeroed one */

/* How much of the i-th file counts. */
enum kfl__manifest_extent {
    KFL_MANIFEST_BYTES,    /* *out_used bytes */
    KFL_MANIFEST_END_MARK, /* up to the end mark that must stand in it */
    KFL_MANIFEST_UNKNOWN,  /* nothing that is known yet: recovery has not looked at it */
};
enum kfl__manifest_extent kfl__manifest_extent(const struct kfl__manifest *manifest, int32_t i,
                                               uint64_t *out_used);

/* Of a file, from the root on. Owned: kfl__free. */
int kfl__manifest_path(const struct kfl__core *core, uint64_t topic_id, int32_t number,
                       int64_t segment_id, enum kfl__name_kind kind, char **out_path);

/* Topics, as the catalog lists them. */
struct kfl__manifest_topic {
    uint64_t id;
    int32_t partition_count;
    char name[256];
};
/* One of this name, or all with NULL. Owned: kfl__free. KFL_E_UNKNOWN_TOPIC_OR_PARTITION. */
int kfl__manifest_topics(struct kfl__core *core, const char *name,
                         struct kfl__manifest_topic **out_topics, int32_t *out_count);

#endif
