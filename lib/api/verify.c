/* SPDX-License-Identifier: MIT */
/*
 * Read and check everything, change nothing.
 *
 * Of each partition the publishing word is read first (api/manifest), then every file as far as it
 * counts, by pread: each batch and each record in it, the order of offsets within and across files,
 * what an end mark names, and the signposts against the batches. What lies above the published
 * place is nobody's and is not looked at. Others may append, roll and delete meanwhile: a file that
 * is missing is looked up once more in the catalog before it is told (R27). Damage is told with the
 * records that it costs, and the check goes on behind.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "api/findings.h"
#include "api/manifest.h"
#include "api/signposts.h"
#include "api/store.h"
#include "base/file.h"
#include "base/memory.h"
#include "log/scan.h"

struct verify {
    kfl_store *store;
    struct kfl__core *core;
    kfl_findings *findings;
    bool quick;
    /* the partition */
    const struct kfl__manifest_topic *topic;
    int32_t number;
    struct kfl__manifest manifest;
    int folder;          /* -1: there is none */
    int64_t next_offset; /* behind the files looked at so far */
    /* the file */
    int32_t row; /* which of the manifest's; -1: none */
    struct kfl__scan scan;
    struct kfl__signposts offsets, times;
    int64_t max_timestamp_ms;
};

/* ---- telling ---- */

static int verify_add(struct verify *v, kfl_finding *finding, enum kfl__name_kind file)
{
    char *path = NULL;
    finding->topic = v->topic != NULL ? v->topic->name : "";
    finding->partition = v->topic != NULL ? v->number : -1;
    if (v->topic != NULL && v->row >= 0) {
        int r = kfl__manifest_path(v->core, v->topic->id, v->number,
                                   v->manifest.rows[v->row].segment_id, file, &path);
        if (r < 0)
            return r;
    }
    finding->path = path != NULL ? path : "";
    int r = kfl__findings_add(v->findings, finding);
    kfl__free(path);
    return r;
}

/* Offsets and place -1: none is concerned. */
static int KFL_PRINTF(6, 7) verify_tell(struct verify *v, int32_t kind, int64_t offset,
                                        int64_t end_offset, int64_t place, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    kfl_finding finding = {
        .kind = kind, .offset = offset, .end_offset = end_offset, .place = place, .text = text};
    return verify_add(v, &finding, KFL_NAME_LOG);
}

/* Where the records of the file end, as far as the list of files tells. */
static int64_t verify_file_end(const struct verify *v)
{
    const struct kfl__segment_row *row = &v->manifest.rows[v->row];
    if (row->end_offset >= 0)
        return row->end_offset;
    return v->row + 1 < v->manifest.count ? row[1].base_offset : v->manifest.end_offset;
}

/* All of the file is lost. */
static int verify_tell_file(struct verify *v, int32_t kind, const char *text)
{
    bool holds = v->row < v->manifest.count;
    int64_t from = holds ? v->manifest.rows[v->row].base_offset : -1;
    return verify_tell(v, kind, from, holds ? verify_file_end(v) : -1, -1, "%s", text);
}

/* ---- signposts ---- */

static int verify_tell_signposts(struct verify *v, const struct kfl__signposts *signposts)
{
    char text[160];
    kfl_finding finding = {
        .kind = KFL_FINDING_INDEX, .offset = -1, .end_offset = -1, .place = -1, .text = text};
    if (signposts->odd)
        snprintf(text, sizeof text, "this is no index: readers do without it, more slowly");
    else if (signposts->wrong > 0)
        snprintf(text, sizeof text,
                 "%u of %u signposts lead astray: readers do without them, more slowly",
                 signposts->wrong, signposts->count);
    else
        return 0;
    return verify_add(v, &finding, signposts->kind);
}

/* A missing one is no fault. */
static int verify_read_signposts(struct verify *v, enum kfl__name_kind kind,
                                 struct kfl__signposts *out_signposts)
{
    int r = kfl__signposts_read(v->folder, v->manifest.rows[v->row].segment_id, kind,
                                v->scan.header.seed, out_signposts);
    return r < 0 ? r : 0;
}

static int verify_end_signposts(struct verify *v, uint64_t limit)
{
    struct kfl__signposts *both[2] = {&v->offsets, &v->times};
    int r = 0;
    for (int i = 0; i < 2 && r == 0; i++) {
        if (v->quick)
            kfl__signposts_glance(both[i], limit);
        else
            kfl__signposts_end(both[i], limit);
        r = verify_tell_signposts(v, both[i]);
    }
    return r;
}

/* ---- batches ---- */

/* One that verifies, from `place` on, which the scan has passed. */
static int verify_batch(struct verify *v, const struct kfl__batch_header *header, uint64_t place)
{
    int64_t first;
    kfl__signposts_meet(&v->offsets, place, v->max_timestamp_ms);
    kfl__signposts_meet(&v->times, place, v->max_timestamp_ms);
    if (v->max_timestamp_ms < header->max_timestamp_ms)
        v->max_timestamp_ms = header->max_timestamp_ms;
    kfl__findings_count_batch(v->findings, header->record_count, header->size);
    int r = kfl__scan_records(&v->scan, header, &first);
    if (r == KFL_E_CORRUPT)
        r = verify_tell(v, KFL_FINDING_DAMAGE, header->base_offset, kfl__batch_end_offset(header),
                        (int64_t)place, "the batch verifies, but what it holds is no record");
    return r == KFL_E_UNSUPPORTED ? 0 : r; /* this build cannot unpack it; its hash was right */
}

/*
 * No batch where one must be: tell what is lost, and stand in front of the next. 1, or 0: there is
 * none.
 */
static int verify_hole(struct verify *v, const char *what)
{
    struct kfl__batch_header header;
    uint64_t place = v->scan.place;
    int64_t from = v->scan.next_offset;
    int found = kfl__scan_search(&v->scan, &header);
    if (found < 0)
        return found;
    int64_t to = found > 0 ? header.base_offset : verify_file_end(v);
    kfl__signposts_skip(&v->offsets, v->scan.place);
    kfl__signposts_skip(&v->times, v->scan.place);
    int r = to > from ? verify_tell(v, KFL_FINDING_DAMAGE, from, to, (int64_t)place,
                                    "%s: the records %" PRId64 " to %" PRId64 " cannot be read",
                                    what, from, to - 1)
                      : verify_tell(v, KFL_FINDING_DAMAGE, -1, -1, (int64_t)place,
                                    "%s: no record is lost by it", what);
    return r < 0 ? r : found;
}

/*
 * Listed, but not where the mark says that it follows. What replaced a file that was never synced
 * has another id.
 */
static int verify_end_mark(struct verify *v, const struct kfl__batch_header *mark)
{
    const struct kfl__manifest *manifest = &v->manifest;
    int64_t named = mark->max_timestamp_ms;
    for (int32_t i = 0; i < manifest->count; i++)
        if (manifest->rows[i].segment_id == named && i != v->row + 1)
            return verify_tell(v, KFL_FINDING_ORDER, mark->base_offset, mark->base_offset,
                               (int64_t)v->scan.place,
                               "the end mark names segment %" PRId64
                               ", which the catalog does not list behind this one",
                               named);
    if (v->row + 1 < manifest->count && manifest->rows[v->row + 1].base_offset < mark->base_offset)
        return verify_tell(v, KFL_FINDING_ORDER, mark->base_offset, mark->base_offset,
                           (int64_t)v->scan.place,
                           "the file ends at offset %" PRId64 ", the next one begins at %" PRId64,
                           mark->base_offset, manifest->rows[v->row + 1].base_offset);
    return 0;
}

/* The scan has come to its end. */
static int verify_walk_end(struct verify *v, enum kfl__manifest_extent extent, uint64_t limit)
{
    const struct kfl__segment_row *row = &v->manifest.rows[v->row];
    int64_t end = row->state == KFL_SEGMENT_ROW_SEALED ? row->end_offset : -1;
    int r = 0;
    if (v->scan.place != limit && extent == KFL_MANIFEST_BYTES)
        r = verify_hole(v, v->scan.file_size < limit ? "the file was cut"
                                                     : "less than a batch is left");
    else if (extent == KFL_MANIFEST_END_MARK)
        r = verify_hole(v, v->scan.file_size < v->scan.header.size ? "the file was cut"
                                                                   : "there is no end mark");
    if (r >= 0 && end >= 0 && v->scan.next_offset > end)
        r = verify_tell(v, KFL_FINDING_ORDER, end, v->scan.next_offset, -1,
                        "the file's records end at offset %" PRId64 ", the catalog says %" PRId64,
                        v->scan.next_offset, end);
    return r < 0 ? r : 0;
}

/* Each batch that counts. */
static int verify_walk(struct verify *v, enum kfl__manifest_extent extent, uint64_t limit)
{
    int r = 0;
    while (r >= 0) {
        struct kfl__batch_header header;
        uint64_t place = v->scan.place;
        r = kfl__core_check(v->core);
        if (r == 0)
            r = kfl__scan_step(&v->scan, &header);
        if (r == 0)
            return verify_walk_end(v, extent, limit);
        if (r == KFL_SCAN_END)
            return extent == KFL_MANIFEST_END_MARK
                       ? verify_end_mark(v, &header)
                       : verify_tell(v, KFL_FINDING_ORDER, header.base_offset, header.base_offset,
                                     (int64_t)place,
                                     "an end mark stands where the catalog says that more follows");
        if (r == KFL_SCAN_BATCH) {
            r = verify_batch(v, &header, place);
        } else if (r == KFL_SCAN_ORDER) {
            r = verify_tell(
                v, KFL_FINDING_ORDER, header.base_offset, kfl__batch_end_offset(&header),
                (int64_t)place,
                "a batch of offset %" PRId64 " and epoch %u behind offset %" PRId64 " and epoch %u",
                header.base_offset, header.writer_epoch, v->scan.next_offset, v->scan.epoch);
            kfl__scan_pass(&v->scan, &header);
            if (r == 0)
                r = verify_batch(v, &header, place);
        } else if (r > 0) {
            r = verify_hole(v, r == KFL_SCAN_NEWER ? "it was written by a newer library"
                                                   : v->scan.what);
            if (r == 0)
                return 0; /* told up to the end of the file */
        }
    }
    return r;
}

/* ---- files ---- */

/* Does the header say what the catalog says? Positive: no, and it was told. */
static int verify_header(struct verify *v)
{
    const struct kfl__segment_row *row = &v->manifest.rows[v->row];
    const struct kfl__segment_header *header = &v->scan.header;
    if (memcmp(header->store_id, v->core->store_id, sizeof header->store_id) != 0 ||
        header->topic_id != v->topic->id || header->partition != (uint32_t)v->number ||
        header->segment_id != (uint64_t)row->segment_id) {
        int r = verify_tell_file(
            v, KFL_FINDING_DAMAGE,
            "it belongs to another store, partition or place: it was moved or copied here");
        return r < 0 ? r : 1;
    }
    if (header->seed != row->seed || header->size != (uint64_t)row->size ||
        strcmp(header->topic_name, v->topic->name) != 0)
        return verify_tell(v, KFL_FINDING_CATALOG, -1, -1, 0,
                           "header and catalog do not agree on seed, size or topic name");
    return 0;
}

static int verify_look_again(struct kfl__catalog_txn *txn, void *context)
{
    const struct verify *v = context;
    struct kfl__segment_row row;
    int r =
        kfl__segments_get(txn, v->topic->id, v->number, v->manifest.rows[v->row].segment_id, &row);
    if (r == KFL_E_NOT_FOUND || r == KFL_E_UNKNOWN_TOPIC_OR_PARTITION)
        return 0;
    return r < 0 ? r : row.state != KFL_SEGMENT_ROW_TRASH;
}

/* Not there: it may have been deleted since the catalog was read. */
static int verify_missing(struct verify *v)
{
    int r = kfl__catalog_look(v->core->catalog, verify_look_again, v);
    return r <= 0 ? r : verify_tell_file(v, KFL_FINDING_MISSING_FILE, "the file is missing");
}

/* Open and agreed upon. */
static int verify_content(struct verify *v)
{
    struct kfl__scan *scan = &v->scan;
    const struct kfl__segment_row *row = &v->manifest.rows[v->row];
    uint64_t limit = 0;
    enum kfl__manifest_extent extent = kfl__manifest_extent(&v->manifest, v->row, &limit);
    bool is_cut = scan->file_size < scan->header.size;
    int r = 0;
    if (extent == KFL_MANIFEST_END_MARK)
        limit = scan->header.size;
    if (row->base_offset < v->next_offset)
        r = verify_tell(v, KFL_FINDING_ORDER, row->base_offset, v->next_offset, -1,
                        "begins at offset %" PRId64 ", but the file before it ends at %" PRId64,
                        row->base_offset, v->next_offset);
    if (r == 0)
        r = verify_read_signposts(v, KFL_NAME_OFFSETS, &v->offsets);
    if (r == 0)
        r = verify_read_signposts(v, KFL_NAME_TIMES, &v->times);
    int32_t told = kfl_findings_count(v->findings);
    if (r == 0 && !v->quick && extent != KFL_MANIFEST_UNKNOWN) {
        kfl__scan_begin(scan, sizeof scan->header, limit, row->base_offset);
        r = verify_walk(v, extent, limit);
    }
    /* A cut that costs records was told with them. */
    if (r == 0 && is_cut && (scan->file_size >= limit || kfl_findings_count(v->findings) == told))
        r = verify_tell(v, KFL_FINDING_DAMAGE, -1, -1, (int64_t)scan->file_size,
                        "the file was cut: %" PRIu64 " bytes of %" PRIu64, scan->file_size,
                        scan->header.size);
    if (r == 0 && extent != KFL_MANIFEST_UNKNOWN)
        r = verify_end_signposts(v, v->quick ? limit : scan->place);
    v->next_offset =
        verify_file_end(v) > scan->next_offset ? verify_file_end(v) : scan->next_offset;
    return r;
}

static int verify_file(struct verify *v, int32_t row)
{
    char name[KFL_NAME_SIZE];
    v->row = row;
    v->scan = (struct kfl__scan){.fd = -1};
    v->offsets = v->times = (struct kfl__signposts){0};
    v->offsets.kind = KFL_NAME_OFFSETS;
    v->times.kind = KFL_NAME_TIMES;
    v->max_timestamp_ms = -1;
    kfl__name_encode(name, v->manifest.rows[row].segment_id, KFL_NAME_LOG);
    int r = v->folder < 0 ? KFL_FILE_MISSING : kfl__scan_open(v->folder, name, &v->scan);
    if (r == KFL_FILE_MISSING)
        return verify_missing(v);
    if (r == KFL_E_CORRUPT || r == KFL_E_VERSION || r == KFL_E_IO)
        return verify_tell_file(v, KFL_FINDING_DAMAGE, kfl_last_error());
    if (r < 0)
        return r;
    r = verify_header(v);
    if (r == 0 && row < v->manifest.count)
        r = verify_content(v);
    kfl__scan_close(&v->scan);
    kfl__signposts_close(&v->offsets);
    kfl__signposts_close(&v->times);
    return r < 0 ? r : 0;
}

/* ---- partitions ---- */

/* Links are not followed below the store. */
static int verify_open_folder(struct verify *v)
{
    char names[3][32] = {KFL_NAME_TOPICS};
    int parent = -1;
    snprintf(names[1], sizeof names[1], "%" PRIu64, v->topic->id);
    snprintf(names[2], sizeof names[2], "%" PRId32, v->number);
    v->folder = -1;
    for (int i = 0; i < 3; i++) {
        int fd = -1;
        int r = kfl__file_open_directory(i == 0 ? v->core->directory : parent, names[i], &fd);
        kfl__file_close(parent);
        if (r != 0)
            return r == KFL_FILE_MISSING || r == KFL_E_CORRUPT
                       ? 0
                       : r; /* its files are told as missing */
        parent = fd;
    }
    v->folder = parent;
    return 0;
}

/* start <= durable <= end, and nobody has committed more than there is. */
static int verify_numbers(struct verify *v)
{
    const struct kfl__manifest *m = &v->manifest;
    /* Where nobody has looked yet, the floor is what bounds the end. */
    int64_t end = m->slot != NULL ? m->end_offset : m->partition.offset_floor;
    int r = 0;
    v->row = -1;
    if (m->start_offset > end || m->durable_offset > end ||
        (m->slot != NULL && m->start_offset > m->durable_offset))
        r = verify_tell(v, KFL_FINDING_CATALOG, m->start_offset, end, -1,
                        "start %" PRId64 ", durable %" PRId64 " and end %" PRId64
                        " are not in order",
                        m->start_offset, m->durable_offset, end);
    if (r == 0 && m->committed_offset > end)
        r = verify_tell(v, KFL_FINDING_CATALOG, m->committed_offset, m->committed_offset, -1,
                        "a group has committed offset %" PRId64
                        ", but the partition ends at %" PRId64,
                        m->committed_offset, end);
    return r;
}

static int verify_read_manifest(struct verify *v)
{
    /* A reader that leaves no trace has numbers of its own, which it fills at the first use. */
    if (v->core->detached) {
        struct kfl__partition *partition;
        struct kfl__topic *topic;
        if (kfl__store_partition(v->store, v->topic->name, v->number, &topic, &partition) == 0)
            kfl__topic_release(topic);
    }
    return kfl__manifest_read(v->core, v->topic->id, v->number, &v->manifest);
}

static int verify_partition(struct verify *v)
{
    v->row = -1;
    v->next_offset = 0;
    int r = kfl__core_check(v->core);
    if (r == 0)
        r = verify_read_manifest(v);
    if (r == KFL_E_UNKNOWN_TOPIC_OR_PARTITION)
        return 0; /* deleted meanwhile */
    if (r == KFL_E_CORRUPT || r == KFL_E_VERSION)
        return verify_tell(v, KFL_FINDING_CATALOG, -1, -1, -1, "%s", kfl_last_error());
    if (r == 0)
        r = verify_numbers(v);
    if (r == 0)
        r = verify_open_folder(v);
    if (r == 0) {
        for (int32_t i = 0; r == 0 && i < v->manifest.count + v->manifest.prepared; i++)
            r = verify_file(v, i);
        kfl__file_close(v->folder);
    }
    kfl__manifest_release(&v->manifest);
    return r;
}

static int verify_store(struct verify *v, const char *name)
{
    struct kfl__manifest_topic *topics = NULL;
    int32_t count = 0;
    int r = kfl__manifest_topics(v->core, name, &topics, &count);
    if (r == KFL_E_CORRUPT || r == KFL_E_VERSION)
        return verify_tell(v, KFL_FINDING_CATALOG, -1, -1, -1, "%s", kfl_last_error());
    for (int32_t i = 0; r == 0 && i < count; i++) {
        v->topic = &topics[i];
        for (v->number = 0; r == 0 && v->number < topics[i].partition_count; v->number++)
            r = verify_partition(v);
    }
    kfl__free(topics);
    return r;
}

int kfl_store_verify(kfl_store *store, const char *topic, int quick, kfl_findings **out_findings)
{
    struct verify v = {.store = store, .quick = quick != 0, .folder = -1, .row = -1};
    int r = kfl__store_check(store);
    if (r == 0 && out_findings == NULL)
        r = kfl__fail(KFL_E_INVALID, "kfl_store_verify: out_findings is NULL");
    if (r == 0 && topic != NULL)
        r = kfl__topic_name_check(topic);
    if (r == 0)
        r = kfl__core_enter(store->core);
    if (r < 0)
        return r;
    v.core = store->core;
    r = kfl__findings_create(&v.findings);
    if (r == 0)
        r = verify_store(&v, topic);
    kfl__core_leave(store->core);
    if (r < 0) {
        kfl_findings_release(v.findings);
        return r;
    }
    *out_findings = v.findings;
    return kfl_findings_count(v.findings);
}
