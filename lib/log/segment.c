/* SPDX-License-Identifier: MIT */
/*
 * One file of batches.
 *
 * The file's blocks are reserved before anything is laid in it, so that a full disk is an error code of the
 * making and never a signal. Pages are asked for (MADV_POPULATE_READ) before they are read the first
 * time, so that a device error or a cut file is an error code too (R26). A segment struct is shared by
 * views, cursors and poll results; the file may be unlinked long before the last of them lets go.
 */
#include "log/segment.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/map.h"
#include "base/memory.h"
#include "format/names.h"

#define SEGMENT_WINDOWS_AHEAD 16u
#define SEGMENT_TOUCH_AGAIN_NS INT64_C(100000000)
/* A batch of one small record takes about this: how many signposts a segment gets room for. */
#define SEGMENT_SMALL_BATCH 96u

/* Where the system does not say how many maps a process may have: Linux's default. */
#define SEGMENT_MAPS_OF_SYSTEM INT64_C(65530)

static _Atomic int32_t segment_reading_count;
static _Atomic int64_t segment_map_count, segment_descriptor_count;
static _Atomic int64_t segment_map_limit = SEGMENT_MAPS_OF_SYSTEM / 4 * 3, segment_descriptor_limit = 512;
static _Atomic int64_t segment_map_limit_wanted;

static int64_t segment_maps_of_system(void)
{
    char text[32] = "";
    size_t got = 0;
    int fd = -1;
    struct kfl__words words;
    kfl__error_save(&words);
    if (kfl__file_open(AT_FDCWD, "/proc/sys/vm/max_map_count", false, &fd) == 0) {
        (void)kfl__file_read_at(fd, text, sizeof text - 1, 0, &got);
        kfl__file_close(fd);
    }
    kfl__error_restore(&words);
    int64_t count = strtoll(text, NULL, 10);
    return count > 0 ? count : SEGMENT_MAPS_OF_SYSTEM;
}

void kfl__segment_learn_limits(void)
{
    struct rlimit limit;
    int64_t wanted = atomic_load(&segment_map_limit_wanted);
    int64_t descriptors = 1024;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        descriptors = limit.rlim_cur > INT32_MAX ? INT32_MAX : (int64_t)limit.rlim_cur;
    /* The rest is the program's. */
    atomic_store(&segment_map_limit, wanted > 0 ? wanted : segment_maps_of_system() / 4 * 3);
    atomic_store(&segment_descriptor_limit, descriptors / 2);
}

void kfl__segment_limit_maps(int64_t maps)
{
    atomic_store(&segment_map_limit_wanted, maps);
    kfl__segment_learn_limits();
}

void kfl__segment_use(struct kfl__segment_use *out_use, struct kfl__segment_use *out_limit)
{
    *out_use = (struct kfl__segment_use){
        .maps = atomic_load_explicit(&segment_map_count, memory_order_relaxed),
        .descriptors = atomic_load_explicit(&segment_descriptor_count, memory_order_relaxed),
    };
    *out_limit = (struct kfl__segment_use){
        .maps = atomic_load_explicit(&segment_map_limit, memory_order_relaxed),
        .descriptors = atomic_load_explicit(&segment_descriptor_limit, memory_order_relaxed),
    };
}

bool kfl__segment_crowded(int eighths)
{
    struct kfl__segment_use use, limit;
    kfl__segment_use(&use, &limit);
    return use.maps > limit.maps / 8 * eighths || use.descriptors > limit.descriptors / 8 * eighths;
}

static int64_t segment_maps(const struct kfl__segment *segment)
{
    return (segment->bytes != NULL) + (segment->writing != NULL) + (segment->offsets.bytes != NULL) +
           (segment->times.bytes != NULL);
}

/* It is complete: what it takes of the process is counted from here on. */
static void segment_count(struct kfl__segment *segment)
{
    segment->counted = true;
    atomic_fetch_add(&segment_map_count, segment_maps(segment));
    if (segment->reading)
        atomic_fetch_add(&segment_reading_count, 1);
}

static void segment_set_descriptor(struct kfl__segment *segment, int fd)
{
    atomic_store(&segment->fd, fd);
    atomic_fetch_add(&segment_descriptor_count, 1);
}

static uint64_t segment_pages(uint64_t size)
{
    return (size + 4095) & ~(uint64_t)4095;
}

uint64_t kfl__segment_offsets_size(const struct kfl__segment_plan *plan)
{
    uint64_t size = plan->size / SEGMENT_SMALL_BATCH * sizeof(uint32_t);
    return segment_pages(size < plan->index_size_max ? size : plan->index_size_max);
}

uint64_t kfl__segment_times_size(const struct kfl__segment_plan *plan)
{
    uint64_t size = (plan->size / plan->index_interval + 2) * sizeof(struct kfl__time_signpost);
    return segment_pages(size < plan->index_size_max ? size : plan->index_size_max);
}

static int segment_write_header(int fd, const struct kfl__segment_plan *plan)
{
    struct kfl__segment_header header = {0};
    memcpy(header.magic, KFL_SEGMENT_MAGIC, sizeof header.magic);
    header.format = KFL_FORMAT_VERSION;
    header.header_size = sizeof header;
    memcpy(header.store_id, plan->store_id, sizeof header.store_id);
    header.topic_id = plan->topic_id;
    header.segment_id = (uint64_t)plan->segment_id;
    header.seed = plan->seed;
    header.size = plan->size;
    header.created_ms = plan->created_ms;
    header.partition = plan->partition;
    header.topic_name_size = (uint32_t)strlen(plan->topic_name);
    assert(header.topic_name_size <= KFL_TOPIC_NAME_MAX);
    memcpy(header.topic_name, plan->topic_name, header.topic_name_size);
    kfl__segment_header_seal(&header);
    return kfl__file_write_at(fd, &header, sizeof header, 0);
}

static int segment_make(int64_t id, uint64_t size, uint64_t seed, struct kfl__segment **out_segment)
{
    struct kfl__segment *segment = kfl__alloc(sizeof *segment);
    uint64_t windows = (size + KFL_SEGMENT_WINDOW - 1) / KFL_SEGMENT_WINDOW;
    if (segment != NULL)
        segment->readable = kfl__alloc_array((windows + 63) / 64, sizeof(uint64_t));
    if (segment == NULL || segment->readable == NULL) {
        kfl__free(segment);
        return kfl__fail(KFL_E_NOMEM, "segment %lld: out of memory", (long long)id);
    }
    segment->id = id;
    segment->size = size;
    segment->seed = seed;
    kfl__count_init(&segment->count);
    atomic_init(&segment->fd, -1);
    *out_segment = segment;
    return 0;
}

static int segment_map(struct kfl__segment *segment, int fd, bool map_writable)
{
    void *bytes;
    int r = kfl__map_open(fd, 0, segment->size, false, &bytes);
    if (r < 0)
        return r;
    segment->bytes = bytes;
    if (map_writable) {
        r = kfl__map_open(fd, 0, segment->size, true, &bytes);
        if (r < 0)
            return r;
        segment->writing = bytes;
    }
    return 0;
}

static int segment_create_indexes(int directory, const struct kfl__segment_plan *plan, struct kfl__segment *segment)
{
    char name[KFL_NAME_SIZE];
    kfl__name_encode(name, plan->segment_id, KFL_NAME_OFFSETS);
    int r = kfl__index_create(directory, name, plan->mode, kfl__segment_offsets_size(plan), &segment->offsets);
    if (r < 0)
        return r;
    kfl__name_encode(name, plan->segment_id, KFL_NAME_TIMES);
    return kfl__index_create(directory, name, plan->mode, kfl__segment_times_size(plan), &segment->times);
}

int kfl__segment_create(int directory, const struct kfl__segment_plan *plan, bool map_writable,
                        struct kfl__segment **out_segment)
{
    struct kfl__segment *segment = NULL;
    char name[KFL_NAME_SIZE];
    int fd = -1;
    assert(plan->size % 4096 == 0 && plan->size >= KFL_SEGMENT_SIZE_MIN && plan->size <= KFL_SEGMENT_SIZE_MAX);

    kfl__name_encode(name, plan->segment_id, KFL_NAME_LOG);
    int r = segment_make(plan->segment_id, plan->size, plan->seed, &segment);
    if (r < 0)
        return r;
    r = kfl__file_create(directory, name, plan->mode, &fd);
    if (r == KFL_FILE_EXISTS)
        r = kfl__fail(KFL_E_CORRUPT, "%s exists although its number was never given out", name);
    if (r < 0)
        goto fail;
    segment_set_descriptor(segment, fd);
    KFL_STEP("segment.created");
    r = kfl__file_reserve(fd, 0, (int64_t)plan->size);
    if (r < 0)
        goto fail_made;
    r = segment_write_header(fd, plan);
    if (r < 0)
        goto fail_made;
    r = segment_create_indexes(directory, plan, segment);
    if (r < 0)
        goto fail_made;
    KFL_STEP("segment.before_sync");
    r = kfl__file_sync(fd);
    if (r < 0)
        goto fail_made;
    /* Sync the directory too, or the new file's name may not survive although its bytes do. */
    r = kfl__file_sync_directory(directory);
    if (r < 0)
        goto fail_made;
    r = segment_map(segment, fd, map_writable);
    if (r < 0)
        goto fail_made;
    segment_count(segment);
    *out_segment = segment;
    return 0;

fail_made: {
    struct kfl__words words;
    kfl__error_save(&words);
    kfl__segment_discard(directory, plan->segment_id);
    kfl__error_restore(&words);
}
fail:
    kfl__segment_release(segment);
    return r;
}

/* Reads and checks the header; what the file says about itself must agree with what the store expects. */
static int segment_check_header(int fd, const char *name, int64_t segment_id, const struct kfl__segment_expect *expect,
                                bool writable, struct kfl__segment_header *out_header)
{
    int64_t file_size;
    size_t got = 0;
    int r = kfl__file_size(fd, &file_size);
    if (r < 0)
        return r;
    r = kfl__file_read_at(fd, out_header, sizeof *out_header, 0, &got);
    if (r < 0)
        return r;
    if (got < sizeof *out_header)
        return kfl__fail(KFL_E_CORRUPT, "%s is cut: %lld bytes, too short for a header", name, (long long)file_size);
    r = kfl__segment_header_check(out_header, (uint64_t)file_size);
    if (r == KFL_HEADER_NEWER)
        return kfl__fail(KFL_E_VERSION, "%s is of format %u, newer than this library's %d: use a newer library", name,
                         out_header->format, KFL_FORMAT_VERSION);
    if (r == KFL_HEADER_BAD)
        return kfl__fail(KFL_E_CORRUPT, "%s has a damaged header, or is cut (%lld bytes)", name, (long long)file_size);
    if (out_header->segment_id != (uint64_t)segment_id ||
        (expect->store_id != NULL && (memcmp(out_header->store_id, expect->store_id, 16) != 0 ||
                                      out_header->topic_id != expect->topic_id || out_header->partition != expect->partition)))
        return kfl__fail(KFL_E_CORRUPT, "%s belongs to another store, partition or place: it was moved or copied here", name);
    /* Reading asks for each page first; a store into pages behind the file's end would be a signal. */
    if (writable && (uint64_t)file_size < out_header->size)
        return kfl__fail(KFL_E_CORRUPT, "%s is cut: %lld bytes of %llu are there", name, (long long)file_size,
                         (unsigned long long)out_header->size);
    return 0;
}

int kfl__segment_open(int directory, int64_t segment_id, const struct kfl__segment_expect *expect,
                      enum kfl__segment_access access, struct kfl__segment **out_segment)
{
    struct kfl__segment_header header;
    struct kfl__segment *segment = NULL;
    char name[KFL_NAME_SIZE];
    int fd = -1;
    bool writable = access != KFL_SEGMENT_READ;

    kfl__name_encode(name, segment_id, KFL_NAME_LOG);
    int r = kfl__file_open(directory, name, writable, &fd);
    if (r != 0)
        return r;
    r = segment_check_header(fd, name, segment_id, expect, writable, &header);
    if (r < 0)
        goto fail;
    r = segment_make(segment_id, header.size, header.seed, &segment);
    if (r < 0)
        goto fail;
    r = segment_map(segment, fd, access == KFL_SEGMENT_WRITE);
    if (r < 0)
        goto fail;
    kfl__name_encode(name, segment_id, KFL_NAME_OFFSETS);
    r = kfl__index_open(directory, name, writable, &segment->offsets);
    if (r < 0)
        goto fail;
    kfl__name_encode(name, segment_id, KFL_NAME_TIMES);
    r = kfl__index_open(directory, name, writable, &segment->times);
    if (r < 0)
        goto fail;
    if (writable)
        segment_set_descriptor(segment, fd);
    else
        kfl__file_close(fd);
    segment->reading = !writable;
    segment_count(segment);
    *out_segment = segment;
    return 0;
fail:
    kfl__file_close(fd);
    kfl__segment_release(segment);
    return r;
}

void kfl__segment_acquire(struct kfl__segment *segment)
{
    kfl__count_acquire(&segment->count);
}

void kfl__segment_release(struct kfl__segment *segment)
{
    if (segment == NULL || !kfl__count_release(&segment->count))
        return;
    if (segment->reading)
        atomic_fetch_sub(&segment_reading_count, 1);
    if (segment->counted)
        atomic_fetch_sub(&segment_map_count, segment_maps(segment));
    kfl__map_close((void *)(uintptr_t)segment->bytes, segment->size);
    kfl__map_close(segment->writing, segment->size);
    kfl__index_close(&segment->offsets);
    kfl__index_close(&segment->times);
    kfl__segment_close_descriptor(segment);
    kfl__free((void *)segment->readable);
    kfl__free(segment);
}

int32_t kfl__segment_count_reading(void)
{
    return atomic_load(&segment_reading_count);
}

int kfl__segment_discard(int directory, int64_t segment_id)
{
    static const enum kfl__name_kind kinds[] = {KFL_NAME_OFFSETS, KFL_NAME_TIMES, KFL_NAME_LOG};
    char name[KFL_NAME_SIZE];
    int first = 0;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        kfl__name_encode(name, segment_id, kinds[i]);
        int r = kfl__file_unlink(directory, name);
        if (r < 0 && first == 0)
            first = r;
    }
    return first;
}

static void segment_windows_learn(struct kfl__segment *segment, uint64_t first, uint64_t behind)
{
    for (uint64_t window = first; window < behind; window++)
        atomic_fetch_or_explicit(&segment->readable[window / 64], UINT64_C(1) << (window % 64), memory_order_relaxed);
}

/* A window does not answer: find the pages that are to blame. */
static int segment_find_bad(struct kfl__segment *segment, uint64_t place, uint64_t end, uint64_t *out_bad_from,
                            uint64_t *out_bad_to)
{
    uint64_t page = kfl__map_page_size();
    uint64_t at = place / page * page;
    bool found = false;
    for (; at < end; at += page) {
        uint64_t size = segment->size - at < page ? segment->size - at : page;
        int r = kfl__map_populate_read(segment->bytes + at, size);
        if (r < 0)
            return r;
        if (r == KFL_MAP_BAD && !found) {
            *out_bad_from = at;
            found = true;
        }
        if (r == 0 && found)
            break;
    }
    if (!found)
        return 0;
    *out_bad_to = at;
    return KFL_SEGMENT_UNREADABLE;
}

int kfl__segment_touch_windows(struct kfl__segment *segment, uint64_t place, uint64_t end, uint64_t *out_bad_from,
                               uint64_t *out_bad_to)
{
    uint64_t window = place / KFL_SEGMENT_WINDOW;
    uint64_t behind = (end + KFL_SEGMENT_WINDOW - 1) / KFL_SEGMENT_WINDOW;
    while (window < behind && kfl__segment_knows_window(segment, window))
        window++;
    while (window < behind) {
        uint64_t upto = window + 1;
        while (upto < behind && upto - window < SEGMENT_WINDOWS_AHEAD && !kfl__segment_knows_window(segment, upto))
            upto++;
        uint64_t from = window * KFL_SEGMENT_WINDOW;
        uint64_t to = upto * KFL_SEGMENT_WINDOW < segment->size ? upto * KFL_SEGMENT_WINDOW : segment->size;
        int r = kfl__map_populate_read(segment->bytes + from, to - from);
        if (r < 0)
            return r;
        if (r == KFL_MAP_BAD) {
            r = segment_find_bad(segment, place > from ? place : from, to < end ? to : end, out_bad_from, out_bad_to);
            if (r != 0)
                return r;
        } else {
            segment_windows_learn(segment, window, upto);
        }
        window = upto;
        while (window < behind && kfl__segment_knows_window(segment, window))
            window++;
    }
    return 0;
}

int kfl__segment_write(struct kfl__segment *segment, const void *bytes, size_t size, uint64_t place)
{
    assert(place + size <= segment->size);
    return kfl__file_write_at(atomic_load(&segment->fd), bytes, size, (int64_t)place);
}

int kfl__segment_clear(struct kfl__segment *segment, uint64_t from, uint64_t to)
{
    static const uint8_t zeros[4096];
    assert(from <= to && to <= segment->size);
    if (segment->writing != NULL) {
        memset(segment->writing + from, 0, to - from);
        return 0;
    }
    while (from < to) {
        size_t size = to - from < sizeof zeros ? to - from : sizeof zeros;
        int r = kfl__segment_write(segment, zeros, size, from);
        if (r < 0)
            return r;
        from += size;
    }
    return 0;
}

int kfl__segment_sync(struct kfl__segment *segment)
{
    int fd = atomic_load(&segment->fd);
    assert(fd >= 0);
    int r = kfl__file_sync(fd);
    /* Where syncs follow each other closely, touching ahead would only make them slower. */
    int64_t now_ns = kfl__clock_steady_ns();
    if (now_ns - atomic_exchange(&segment->synced_ns, now_ns) > SEGMENT_TOUCH_AGAIN_NS) {
        atomic_store(&segment->touched_to, 0);
        atomic_store(&segment->asked_to, 0);
        atomic_store(&segment->look_at, 0);
    }
    return r;
}

void kfl__segment_close_descriptor(struct kfl__segment *segment)
{
    int fd = atomic_exchange(&segment->fd, -1);
    if (fd < 0)
        return;
    kfl__file_close(fd);
    atomic_fetch_sub(&segment_descriptor_count, 1);
}
