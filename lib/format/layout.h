/* SPDX-License-Identifier: MIT */
/*
 * What lies on the disk in a segment file. docs/format.md says it in prose and tables; change both,
 * or neither. Little-endian, no padding that is not named.
 */
#ifndef KFL_FORMAT_LAYOUT_H
#define KFL_FORMAT_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#define KFL_FORMAT_VERSION 1

/* An unknown incompatible bit means: refuse. An unknown compatible one: ignore. None is defined. */
#define KFL_FORMAT_INCOMPATIBLE_KNOWN 0u
#define KFL_FORMAT_COMPATIBLE_KNOWN 0u

#define KFL_SEGMENT_MAGIC "KFLSEG\r\n" /* text-mode copies show */
#define KFL_TOPIC_NAME_MAX 249

/* At place 0, in a sector of its own; written once, before anything else in the file. */
struct kfl__segment_header {
    char magic[8];
    uint32_t format;         /* KFL_FORMAT_VERSION */
    uint32_t header_size;    /* place of the first batch: 512 */
    uint32_t incompatible;
    uint32_t compatible;
    uint8_t store_id[16];
    uint64_t topic_id;
    uint64_t segment_id;
    uint64_t seed;           /* random: seeds every hash in this file */
    uint64_t size;           /* bytes reserved, this header included */
    int64_t created_ms;
    uint32_t partition;
    uint32_t topic_name_size;
    char topic_name[256];    /* zeros behind */
    uint8_t reserved[160];   /* zeros */
    uint64_t hash;           /* XXH3 of all before it */
};
_Static_assert(sizeof(struct kfl__segment_header) == 512, "docs/format.md");
_Static_assert(offsetof(struct kfl__segment_header, store_id) == 24, "docs/format.md");
_Static_assert(offsetof(struct kfl__segment_header, topic_id) == 40, "docs/format.md");
_Static_assert(offsetof(struct kfl__segment_header, segment_id) == 48, "docs/format.md");
_Static_assert(offsetof(struct kfl__segment_header, seed) == 56, "docs/format.md");
_Static_assert(offsetof(struct kfl__segment_header, size) == 64, "docs/format.md");
_Static_assert(offsetof(struct kfl__segment_header, created_ms) == 72, "docs/format.md");
_Static_assert(offsetof(struct kfl__segment_header, partition) == 80, "docs/format.md");
_Static_assert(offsetof(struct kfl__segment_header, topic_name) == 88, "docs/format.md");
_Static_assert(offsetof(struct kfl__segment_header, hash) == 504, "docs/format.md");

#define KFL_BATCH_ALIGNMENT 8u /* of each batch's place */

/* The unit that is appended, checksummed and verified. */
struct kfl__batch_header {
    uint64_t hash;             /* XXH3, seeded by the segment, of: place, bytes 8..47, payload hash */
    uint32_t size;             /* this header, extension and payload; without the padding behind */
    uint32_t record_count;     /* 0: end mark, or a batch that compaction emptied */
    int64_t base_offset;       /* of its first record; of an end mark: the offset that comes next */
    int64_t max_timestamp_ms;  /* records' times are stored against it; end mark: next segment's id */
    uint32_t writer_epoch;     /* which opening and repair wrote it: never falls within a file */
    uint32_t durable_distance; /* all below base_offset minus this was durable then; ~0: not said;
                                * of a compacted batch: how many offsets it spans */
    uint16_t flags;            /* KFL_BATCH_FLAG_… */
    uint16_t extension_size;   /* a multiple of 8, before the payload; 0 unless a flag says so */
    uint32_t unpacked_size;    /* of the payload before compression; without a codec its size */
};
_Static_assert(sizeof(struct kfl__batch_header) == 48, "docs/format.md");
_Static_assert(offsetof(struct kfl__batch_header, size) == 8, "docs/format.md");
_Static_assert(offsetof(struct kfl__batch_header, base_offset) == 16, "docs/format.md");
_Static_assert(offsetof(struct kfl__batch_header, max_timestamp_ms) == 24, "docs/format.md");
_Static_assert(offsetof(struct kfl__batch_header, writer_epoch) == 32, "docs/format.md");
_Static_assert(offsetof(struct kfl__batch_header, flags) == 40, "docs/format.md");
_Static_assert(offsetof(struct kfl__batch_header, unpacked_size) == 44, "docs/format.md");

#define KFL_DURABLE_NOT_SAID UINT32_MAX

#define KFL_BATCH_FLAG_CODEC 0x0007u       /* 0 none, 3 lz4, 4 zstd (Kafka's numbers) */
#define KFL_BATCH_FLAG_APPEND_TIME 0x0008u /* timestamps are the append clock's */
#define KFL_BATCH_FLAG_END 0x0010u         /* end mark: the segment is full, the next one is named */
#define KFL_BATCH_FLAG_COMPACTED 0x0020u   /* records may lack within the offsets that it spans */
#define KFL_BATCH_FLAG_HORIZON 0x0040u     /* an extension of 8 bytes: when its tombstones may go */
#define KFL_BATCH_FLAGS_KNOWN 0x007fu      /* any other bit: written by a newer library */

/* The extension of KFL_BATCH_FLAG_HORIZON: i64, milliseconds since 1970. */
#define KFL_BATCH_HORIZON_SIZE 8u

/*
 * A record in a payload; then key, value, headers. Unaligned, one directly behind the other, and so
 * are its fields: copy it out, never point at one.
 */
struct __attribute__((packed)) kfl__record_head {
    int32_t key_size;         /* -1: missing */
    int32_t value_size;       /* -1: missing */
    uint32_t offset_delta;    /* against the batch's base offset; KFL_RECORD_HAS_HEADERS on top */
    int64_t timestamp_delta;  /* against the batch's max_timestamp_ms: never above 0 */
};
_Static_assert(sizeof(struct kfl__record_head) == 20, "docs/format.md");
_Static_assert(offsetof(struct kfl__record_head, timestamp_delta) == 12, "docs/format.md");

/* A batch is too small for so many records: the bit is free. */
#define KFL_RECORD_HAS_HEADERS UINT32_C(0x80000000)
/* Then, behind the value: uint32 count, uint32 size of all headers, and the headers. */
#define KFL_HEADERS_HEAD_SIZE 8u
/* A header of a record: uint32 name_size, int32 value_size (-1: missing), name, NUL, value. */
#define KFL_HEADER_HEAD_SIZE 8u

/* Every segment keeps room for an end mark. */
#define KFL_END_MARK_SIZE 48u
_Static_assert(KFL_END_MARK_SIZE == sizeof(struct kfl__batch_header), "an end mark is a bare header");

#define KFL_SEGMENT_SIZE_MIN 65536
/* The publishing word counts places in eights in 32 bits. */
#define KFL_SEGMENT_SIZE_MAX (INT64_C(1) << 32)
/* record sizes are int32 and a batch's size is uint32: the largest batch */
#define KFL_BATCH_SIZE_MAX (INT64_C(1) << 30)

#endif
