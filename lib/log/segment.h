/* SPDX-License-Identifier: MIT */
/*
 * One file of batches, as this process sees it: opened, mapped, checked, counted.
 *
 * Readers see a read-only map of the whole file. How bytes get in is this module's secret: through a
 * writable map of space that was reserved before, or by pwrite where what is written is synced at once (protocol R2, R25).
 * What of the file counts is not known here: the publishing word and the manifest say it.
 */
#ifndef KFL_LOG_SEGMENT_H
#define KFL_LOG_SEGMENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/count.h"
#include "format/batch.h"
#include "format/layout.h"
#include "log/index.h"

#define KFL_SEGMENT_FIRST_PLACE ((uint64_t)sizeof(struct kfl__segment_header))

/* What is known of a file that takes no more appends. */
struct kfl__segment_facts {
    int64_t end_offset; /* 0: nothing is known */
    int64_t used, first_timestamp_ms, max_timestamp_ms, record_count;
};

struct kfl__segment {
    /* constant after open */
    int64_t id;
    uint64_t size;
    uint64_t seed;
    const uint8_t *bytes; /* the whole file, read-only */
    uint8_t *writing;     /* the same, writable; NULL unless this process appends here through the map */
    struct kfl__index offsets, times;
    bool reading; /* opened to be read only */
    bool counted; /* among what this process has open */
    struct kfl__count count;
    /* atomic */
    _Atomic int fd;                  /* kept while bytes of this process may not be durable (R7); -1 when given back */
    _Atomic uint64_t touched_to;     /* the writable map's pages are there up to this place */
    _Atomic uint64_t asked_to;       /* and were asked for up to this one */
    _Atomic uint64_t let_go_to;      /* those before this one were taken out of it */
    _Atomic uint64_t offsets_touched_to; /* the same of the signposts' map */
    _Atomic int64_t synced_ns;       /* steady time of the last sync here */
    _Atomic uint64_t look_at;        /* an append behind this place looks whether more pages are to be asked for */
    /* guarded by append */
    struct kfl__segment *kept_next; /* in its partition's list of files left behind */
    struct kfl__segment_facts rolled; /* when this process left it */
    bool next_asked; /* the file behind this one was asked for */
    _Atomic uint32_t offsets_count;  /* entries known to be there; 0: not counted yet */
    _Atomic uint64_t *readable;      /* a bit for each window of 64 KiB whose pages are known to answer */
};

struct kfl__segment_plan {
    uint8_t store_id[16];
    uint64_t topic_id;
    uint32_t partition;
    const char *topic_name;
    int64_t segment_id;
    uint64_t size;       /* a multiple of 4096, KFL_SEGMENT_SIZE_MIN .. KFL_SEGMENT_SIZE_MAX */
    uint64_t seed;
    int64_t created_ms;
    uint32_t mode;
    uint64_t index_size_max;
    uint64_t index_interval;
};

/* How large its index files are made. */
uint64_t kfl__segment_offsets_size(const struct kfl__segment_plan *plan);
uint64_t kfl__segment_times_size(const struct kfl__segment_plan *plan);

/*
 * Make the file and its indexes under their final names, reserved, header written, file and directory
 * synced (R4, X9). On failure nothing is left behind. counted: release. Mapped for writing when `map_writable`.
 */
int kfl__segment_create(int directory, const struct kfl__segment_plan *plan, bool map_writable,
                        struct kfl__segment **out_segment);

/* What an open expects the header to say. */
struct kfl__segment_expect {
    const uint8_t *store_id; /* 16 bytes; NULL: anything */
    uint64_t topic_id;
    uint32_t partition;
};
enum kfl__segment_access { KFL_SEGMENT_READ, KFL_SEGMENT_WRITE, KFL_SEGMENT_WRITE_BY_FILE };
/*
 * counted: release. 0, KFL_FILE_MISSING, KFL_E_CORRUPT (foreign, damaged or too short; the text names the file), KFL_E_VERSION, or an error.
 */
int kfl__segment_open(int directory, int64_t segment_id, const struct kfl__segment_expect *expect,
                      enum kfl__segment_access access, struct kfl__segment **out_segment);
void kfl__segment_acquire(struct kfl__segment *segment);
void kfl__segment_release(struct kfl__segment *segment); /* takes NULL */
/* How many of this process are open to be read only: they can be given back and opened again. */
int32_t kfl__segment_count_reading(void);

/* What all segments of this process take of what the system lets it have. */
struct kfl__segment_use {
    int64_t maps, descriptors;
};
/* The limits are three quarters of vm.max_map_count and half of RLIMIT_NOFILE, as they were when they were learned. */
void kfl__segment_use(struct kfl__segment_use *out_use, struct kfl__segment_use *out_limit);
/* Is more open than so many eighths of the limits? Cheap. */
bool kfl__segment_crowded(int eighths);
/* At the open of a store, and when something could not be opened: the limits may be others by now. */
void kfl__segment_learn_limits(void);
/* For tests: no more maps than this; 0: as the system has it. */
void kfl__segment_limit_maps(int64_t maps);
/* Unlink the file and its indexes. Missing ones are fine. */
int kfl__segment_discard(int directory, int64_t segment_id);

/*
 * Make sure that the bytes [place, end) can be read through the map. Costs a look at a bit when they were
 * looked at before. KFL_SEGMENT_UNREADABLE: the device refuses a part, or the file was cut; *out_bad_from and *out_bad_to tell which pages.
 */
#define KFL_SEGMENT_UNREADABLE 1
#define KFL_SEGMENT_WINDOW 65536u
int kfl__segment_touch_windows(struct kfl__segment *segment, uint64_t place, uint64_t end, uint64_t *out_bad_from,
                               uint64_t *out_bad_to);
static inline bool kfl__segment_knows_window(struct kfl__segment *segment, uint64_t window)
{
    uint64_t word = atomic_load_explicit(&segment->readable[window / 64], memory_order_relaxed);
    return (word >> (window % 64) & 1) != 0;
}
static inline int kfl__segment_touch(struct kfl__segment *segment, uint64_t place, uint64_t end, uint64_t *out_bad_from,
                                     uint64_t *out_bad_to)
{
    uint64_t window = place / KFL_SEGMENT_WINDOW;
    assert(place <= end && end <= segment->size);
    if (end <= (window + 1) * KFL_SEGMENT_WINDOW && place < segment->size && kfl__segment_knows_window(segment, window))
        return 0;
    return kfl__segment_touch_windows(segment, place, end, out_bad_from, out_bad_to);
}

/* Let the next `size` bytes of the writable map have their pages, unless somebody else is just taking them. false: there are no more. */
bool kfl__segment_touch_ahead(struct kfl__segment *segment, uint64_t size);
/* The same of the signposts, up to this byte of them. */
void kfl__segment_touch_offsets(struct kfl__segment *segment, uint64_t upto);
/* Appends through this map begin at `place`: what lies before needs no pages. */
void kfl__segment_touch_from(struct kfl__segment *segment, uint64_t place);

/*
 * Nobody stores before `place` any more: before a sync, which then finds these pages in no writable map and has
 * nothing to take away from them, page by page (base/map). A few are left as they are.
 */
void kfl__segment_let_go(struct kfl__segment *segment, uint64_t place);

/* Where the bytes of a batch at `place` are to be laid, or NULL: lay them in memory and call kfl__segment_write. */
static inline uint8_t *kfl__segment_lay(struct kfl__segment *segment, uint64_t place)
{
    return segment->writing == NULL ? NULL : segment->writing + place;
}
int kfl__segment_write(struct kfl__segment *segment, const void *bytes, size_t size, uint64_t place);
/* Zero [from, to): a dead process's half-laid bytes. */
int kfl__segment_clear(struct kfl__segment *segment, uint64_t from, uint64_t to);
/* Bring all its bytes down. Pages that were touched ahead are read-only behind it, and asked for anew. */
int kfl__segment_sync(struct kfl__segment *segment);
/* Its bytes are durable and no more will come from this process: the descriptor can go. */
void kfl__segment_close_descriptor(struct kfl__segment *segment);

#endif
