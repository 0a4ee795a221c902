/* SPDX-License-Identifier: MIT */
/* The records of a partition whose catalog is lost, taken from its files into a partition of another store. */
#ifndef KFL_ENGINE_SALVAGE_H
#define KFL_ENGINE_SALVAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/partition.h"

/*
 * How far above the last record that was found a salvaged partition goes on: what lay behind in files that
 * are lost may have been seen, and no number is given twice. A file holds fewer records.
 */
#define KFL_SALVAGE_GAP (INT64_C(1) << 32)

/* Something that could not be salvaged. */
struct kfl__loss {
    bool missing_file;          /* else damage */
    int64_t offset, end_offset; /* -1: not known */
    int64_t segment_id, place;  /* 0 and -1: none is concerned */
    const char *text;
};

struct kfl__salvage {
    int folder; /* of the partition's files */
    uint8_t store_id[16];
    uint64_t topic_id;
    int32_t number;
    const char *story;                                        /* for the history of the new store */
    int (*tell)(const struct kfl__loss *loss, void *context); /* < 0 ends the salvage */
    void *context;
    /* what was taken */
    int64_t records, bytes;
    int64_t start_offset, end_offset; /* of the new partition */
};

/*
 * Copy every batch that verifies into `into`, which is empty: at its offset, durable. Where files hold the
 * same offsets the one with the highest id counts. The old files are read only. Nobody else uses either.
 */
int kfl__salvage_run(struct kfl__salvage *salvage, struct kfl__partition *into);

#endif
