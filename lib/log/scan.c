/* SPDX-License-Identifier: MIT */
/*
 * Walk the batches of one file by pread.
 *
 * A window of the file is kept in memory, and grows to the largest batch. Bytes that the device
 * refuses, or that a cut took away, stand in it as zeros: they never verify, so a walk tells them
 * as it tells any damage, and goes on behind. The reason is kept beside, for the one who tells.
 */
#include "log/scan.h"

#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "format/codec.h"

#define SCAN_WINDOW (UINT64_C(1) << 20)
#define SCAN_PAGE 4096u
/* As in log/walk, with more time: this is for those who look closely. */
#define SCAN_PATIENCE 256
#define SCAN_SMALL 4096

static int scan_check_header(struct kfl__scan *scan, const char *name)
{
    int64_t size;
    size_t got = 0;
    int r = kfl__file_size(scan->fd, &size);
    if (r == 0)
        r = kfl__file_read_at(scan->fd, &scan->header, sizeof scan->header, 0, &got);
    if (r < 0)
        return r;
    r = got < sizeof scan->header ? KFL_HEADER_BAD
                                  : kfl__segment_header_check(&scan->header, (uint64_t)size);
    if (r == KFL_HEADER_NEWER) {
        kfl__fail(KFL_E_VERSION,
                  "%s is of format %u, newer than this library's %d: use a newer library", name,
                  scan->header.format, KFL_FORMAT_VERSION);
        return kfl__fail_in(KFL_E_VERSION, name);
    }
    if (r == KFL_HEADER_BAD) {
        kfl__fail(KFL_E_CORRUPT, "%s has no segment header that can be believed (%lld bytes)", name,
                  (long long)size);
        return kfl__fail_in(KFL_E_CORRUPT, name);
    }
    scan->file_size = (uint64_t)size;
    return 0;
}

int kfl__scan_open(int directory, const char *name, struct kfl__scan *out_scan)
{
    struct kfl__scan scan = {.fd = -1};
    int r = kfl__file_open(directory, name, false, &scan.fd);
    if (r != 0)
        return r;
    r = scan_check_header(&scan, name);
    if (r < 0) {
        kfl__file_close(scan.fd);
        return r;
    }
    kfl__scan_begin(&scan, sizeof scan.header, scan.header.size, 0);
    *out_scan = scan;
    return 0;
}

void kfl__scan_close(struct kfl__scan *scan)
{
    if (scan->header.size == 0)
        return;
    kfl__file_close(scan->fd);
    kfl__free(scan->window);
    kfl__free(scan->unpacked);
    *scan = (struct kfl__scan){.fd = -1};
}

void kfl__scan_begin(struct kfl__scan *scan, uint64_t place, uint64_t limit, int64_t next_offset)
{
    scan->limit = limit < scan->file_size ? limit : scan->file_size;
    scan->place = place;
    scan->next_offset = next_offset;
    scan->epoch = 0;
    scan->batch = NULL;
    scan->what = "";
}

/* ---- the window ---- */

static void scan_note_bad(struct kfl__scan *scan, uint64_t from, uint64_t to, const char *what)
{
    memset(scan->window + (from - scan->from), 0, to - from);
    if (scan->bad_from == scan->bad_to)
        scan->bad_from = from;
    scan->bad_to = to;
    scan->bad_what = what;
}

/* The device refused a part of the window: take what it gives, page by page. */
static void scan_read_pages(struct kfl__scan *scan)
{
    uint64_t end = scan->from + scan->size;
    for (uint64_t at = scan->from, to; at < end; at = to) {
        size_t got = 0;
        to = (at / SCAN_PAGE + 1) * SCAN_PAGE < end ? (at / SCAN_PAGE + 1) * SCAN_PAGE : end;
        if (kfl__file_read_at(scan->fd, scan->window + (at - scan->from), to - at, (int64_t)at,
                              &got) < 0)
            scan_note_bad(scan, at, to, "the device cannot read it");
        else if (got < to - at)
            scan_note_bad(scan, at + got, to, "the file was cut");
    }
}

/* Have [from, from + size), which lies below the limit, in the window; *out_bytes points at it. */
static int scan_load(struct kfl__scan *scan, uint64_t from, uint64_t size,
                     const uint8_t **out_bytes)
{
    assert(from <= scan->limit && size <= scan->limit - from);
    if (from >= scan->from && from - scan->from <= scan->size &&
        size <= scan->size - (from - scan->from)) {
        *out_bytes = scan->window + (from - scan->from);
        return 0;
    }
    if (size < SCAN_WINDOW)
        size = scan->limit - from < SCAN_WINDOW ? scan->limit - from : SCAN_WINDOW;
    scan->size = 0; /* nothing, should it fail */
    if (scan->room < size) {
        uint8_t *grown = kfl__realloc(scan->window, size);
        if (grown == NULL)
            return kfl__fail(KFL_E_NOMEM, "%llu bytes of a segment: out of memory",
                             (unsigned long long)size);
        scan->window = grown;
        scan->room = size;
    }
    size_t got = 0;
    scan->from = from;
    scan->size = size;
    scan->bad_from = scan->bad_to = 0;
    if (kfl__file_read_at(scan->fd, scan->window, size, (int64_t)from, &got) < 0)
        scan_read_pages(scan);
    else if (got < size)
        scan_note_bad(scan, from + got, from + size, "the file was cut");
    *out_bytes = scan->window;
    return 0;
}

/* `said` is the size that stands in the header. */
static const char *scan_reason(const struct kfl__scan *scan, uint64_t place, uint64_t size,
                               uint64_t said)
{
    if (scan->bad_from < scan->bad_to && place < scan->bad_to && scan->bad_from < place + size)
        return scan->bad_what;
    if (scan->limit == scan->file_size && said > scan->limit - place && place < scan->header.size &&
        said <= scan->header.size - place)
        return "the file was cut";
    return "the checksum does not match";
}

/* ---- batches ---- */

/* 0 and the header and the bytes; KFL_BATCH_BAD and scan->what; KFL_BATCH_NEWER; < 0. */
static int scan_verify(struct kfl__scan *scan, uint64_t place, struct kfl__batch_header *out_header,
                       const uint8_t **out_bytes)
{
    const uint8_t *bytes;
    uint64_t size = sizeof *out_header, room = scan->limit - place;
    int r = scan_load(scan, place, size, &bytes);
    if (r < 0)
        return r;
    /* The size is not to be believed yet: it only says how much has to be read to find out. */
    uint32_t said = kfl__load32(bytes + offsetof(struct kfl__batch_header, size));
    r = KFL_BATCH_BAD;
    if (said >= sizeof *out_header && said <= KFL_BATCH_SIZE_MAX && said <= room) {
        size = said;
        r = scan_load(scan, place, size, &bytes);
        if (r < 0)
            return r;
        r = kfl__batch_verify_at(bytes, size, place, scan->header.seed, out_header);
    }
    if (r == KFL_BATCH_BAD)
        scan->what = scan_reason(scan, place, size, said);
    *out_bytes = bytes;
    return r;
}

static bool scan_follows(const struct kfl__scan *scan, const struct kfl__batch_header *header)
{
    return header->base_offset >= scan->next_offset && header->writer_epoch >= scan->epoch;
}

void kfl__scan_pass(struct kfl__scan *scan, const struct kfl__batch_header *header)
{
    int64_t end = kfl__batch_end_offset(header);
    scan->place = kfl__batch_next_place(scan->place, header);
    if (scan->next_offset < end)
        scan->next_offset = end;
    if (scan->epoch < header->writer_epoch)
        scan->epoch = header->writer_epoch;
}

int kfl__scan_step(struct kfl__scan *scan, struct kfl__batch_header *out_header)
{
    if (scan->place >= scan->limit || scan->limit - scan->place < sizeof *out_header)
        return 0;
    int r = scan_verify(scan, scan->place, out_header, &scan->batch);
    if (r != 0)
        return r < 0 ? r : r == KFL_BATCH_NEWER ? KFL_SCAN_NEWER : KFL_SCAN_BAD;
    if (!scan_follows(scan, out_header))
        return KFL_SCAN_ORDER;
    if ((out_header->flags & KFL_BATCH_FLAG_END) != 0)
        return KFL_SCAN_END;
    kfl__scan_pass(scan, out_header);
    return KFL_SCAN_BATCH;
}

int kfl__scan_search(struct kfl__scan *scan, struct kfl__batch_header *out_header)
{
    struct kfl__batch_header header;
    const uint8_t *bytes;
    const char *what = scan->what;
    uint64_t at = scan->place + KFL_BATCH_ALIGNMENT;
    uint64_t patience = scan->limit > at ? (scan->limit - at) * SCAN_PATIENCE : 0;
    for (; at < scan->limit && scan->limit - at >= sizeof header; at += KFL_BATCH_ALIGNMENT) {
        int r = scan_load(scan, at, sizeof header, &bytes);
        if (r < 0)
            return r;
        /* Most bytes are no header: hashing at each place would take for ever. */
        if (kfl__batch_peek(bytes, 0, scan->limit - at, &header) != 0 ||
            !scan_follows(scan, &header))
            continue;
        if (header.size > patience && header.size > SCAN_SMALL)
            continue;
        patience -= header.size < patience ? header.size : patience;
        r = scan_verify(scan, at, &header, &bytes);
        if (r < 0)
            return r;
        if (r == 0) {
            scan->place = at;
            scan->what = what;
            *out_header = header;
            return 1;
        }
    }
    scan->place = scan->limit;
    scan->what = what;
    return 0;
}

int kfl__scan_anything(struct kfl__scan *scan)
{
    uint64_t at = scan->place;
    while (at < scan->limit) {
        const uint8_t *bytes;
        uint64_t size = scan->limit - at < SCAN_PAGE ? scan->limit - at : SCAN_PAGE;
        int r = scan_load(scan, at, size, &bytes);
        if (r < 0)
            return r;
        if (scan->bad_from < scan->bad_to && at < scan->bad_to && scan->bad_from < at + size)
            return 1;
        if (bytes[0] != 0 || memcmp(bytes, bytes + 1, size - 1) != 0)
            return 1;
        at += size;
    }
    return 0;
}

/* ---- records ---- */

static int scan_unpack(struct kfl__scan *scan, const struct kfl__batch_header *header,
                       const uint8_t **out_bytes)
{
    int codec = header->flags & (int)KFL_BATCH_FLAG_CODEC;
    const uint8_t *payload = scan->batch + kfl__batch_head_size(header);
    if (codec == KFL_CODEC_NONE) {
        *out_bytes = payload;
        return 0;
    }
    if (scan->unpacked_room < header->unpacked_size) {
        kfl__free(scan->unpacked);
        scan->unpacked = kfl__alloc(header->unpacked_size);
        scan->unpacked_room = scan->unpacked == NULL ? 0 : header->unpacked_size;
        if (scan->unpacked == NULL)
            return kfl__fail(KFL_E_NOMEM, "a batch of %u bytes: out of memory",
                             header->unpacked_size);
    }
    *out_bytes = scan->unpacked;
    return kfl__codec_unpack(codec, payload, header->size - kfl__batch_head_size(header), scan->unpacked,
                             header->unpacked_size);
}

int kfl__scan_records(struct kfl__scan *scan, const struct kfl__batch_header *header,
                      int64_t *out_first_timestamp_ms)
{
    struct kfl__batch_cursor cursor;
    const uint8_t *bytes = NULL;
    kfl_record record;
    int64_t first = -1;
    int r = scan_unpack(scan, header, &bytes);
    if (r < 0)
        return r;
    kfl__batch_cursor_init(&cursor, header, bytes, header->unpacked_size);
    while ((r = kfl__batch_next(&cursor, &record)) > 0)
        if (first < 0)
            first = record.timestamp_ms;
    if (r == 0)
        *out_first_timestamp_ms = first;
    return r;
}
