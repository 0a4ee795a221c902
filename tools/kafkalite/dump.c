/* SPDX-License-Identifier: MIT */
/*
 * dump: what lies in segment files, batch by batch.
 *
 * Files are walked on their own, so one that was carried away from its store can be looked at too.
 * Damaged bytes are told and stepped over.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "call.h"
#include "moment.h"
#include "output.h"
#include "show.h"

struct dumping {
    struct call *call;
    int64_t from;
    int64_t to;
    int64_t published; /* offsets from here on are nobody's yet */
    int64_t left;      /* records still to show */
    int only_batches;
    int as_hex;
    int is_damaged;
};

static const char *codec_name(int32_t codec)
{
    static const char *const names[] = {"none", "gzip", "snappy", "lz4", "zstd"};
    return codec >= 0 && codec <= 4 ? names[codec] : "unknown";
}

static void show_segment(const kfl_walk *walk, const char *path)
{
    if (output_is_json()) {
        output_json_line(need_json(json_pack("{s:s, s:s, s:s, s:i, s:I}", "type", "segment", "path",
                                             path, "topic", kfl_walk_topic(walk), "partition",
                                             (int)kfl_walk_partition(walk), "segment",
                                             (json_int_t)kfl_walk_segment_id(walk))));
        return;
    }
    const char *slash = strrchr(path, '/');
    printf("%ssegment %s%s   %s/%" PRId32 "\n", output_bold(), slash != NULL ? slash + 1 : path,
           output_plain(), kfl_walk_topic(walk), kfl_walk_partition(walk));
}

static void show_batch(const kfl_batch *batch)
{
    char numbers[3][TEXT_NUMBER_SIZE];
    int is_end = batch->kind == KFL_BATCH_END_MARK;
    if (output_is_json()) {
        char checksum[20];
        snprintf(checksum, sizeof checksum, "%016" PRIx64, batch->checksum);
        json_t *object = need_json(json_pack(
            "{s:s, s:I, s:I, s:I, s:I, s:i, s:s, s:I, s:s}", "type", is_end ? "end" : "batch",
            "place", (json_int_t)batch->place, "size", (json_int_t)batch->size, "base_offset",
            (json_int_t)batch->base_offset, "end_offset", (json_int_t)batch->end_offset, "records",
            (int)batch->record_count, "codec", codec_name(batch->codec), "epoch",
            (json_int_t)batch->writer_epoch, "checksum", checksum));
        json_object_set_new(
            object, is_end ? "next_segment" : "base_timestamp",
            json_integer(is_end ? batch->next_segment_id : batch->base_timestamp_ms));
        json_object_set_new(object, "durable_offset",
                            batch->durable_offset >= 0 ? json_integer(batch->durable_offset)
                                                       : json_null());
        output_json_line(object);
    } else if (is_end) {
        printf("@%" PRId64 "  end at %s, next segment %" PRId64 "\n", batch->place,
               text_of_count(batch->end_offset, numbers[0]), batch->next_segment_id);
    } else {
        printf("@%" PRId64 "  batch %s..%s  %" PRId32 " record%s  %s  codec %s  epoch %" PRIu32
               "  checksum %016" PRIx64 "\n",
               batch->place, text_of_count(batch->base_offset, numbers[0]),
               text_of_count(batch->end_offset - 1, numbers[1]), batch->record_count,
               batch->record_count == 1 ? "" : "s", text_of_bytes(batch->size, numbers[2]),
               codec_name(batch->codec), batch->writer_epoch, batch->checksum);
    }
}

static void add_hex_lines(struct text *text, const char *name, const void *data, size_t size)
{
    const unsigned char *bytes = data;
    text_add_format(text, "      %s (%zu)\n", name, size);
    for (size_t i = 0; i < size; i += 16) {
        size_t count = size - i < 16 ? size - i : 16;
        text_add_format(text, "      %08zx ", i);
        for (size_t k = 0; k < 16; k++)
            text_add_format(text, k < count ? "%s%02x" : "%s  ", k == 8 ? "  " : " ",
                            k < count ? bytes[i + k] : 0u);
        text_add(text, "  |", 3);
        for (size_t k = 0; k < count; k++)
            text_add(
                text,
                bytes[i + k] >= 0x20 && bytes[i + k] < 0x7f ? &bytes[i + k] : (const void *)".", 1);
        text_add(text, "|\n", 2);
    }
}

static void show_record(const struct dumping *d, const kfl_record *record, struct text *text)
{
    char buffer[TEXT_NUMBER_SIZE];
    if (output_is_json()) {
        json_t *object = show_json(record);
        json_object_set_new(object, "type", json_string("record"));
        output_json_line(object);
        return;
    }
    text->size = 0;
    text_add_format(text, "   %s", text_of_count(record->offset, buffer));
    text_add_format(text, "  %s", moment_text(record->timestamp_ms, buffer));
    if (record->key == NULL) {
        text_add_format(text, "  no key");
    } else {
        text_add_format(text, "  key \"");
        text_add_shown(text, record->key, record->key_size);
        text_add(text, "\"", 1);
    }
    if (record->value == NULL) {
        text_add_format(text, "  no value");
    } else {
        text_add_format(text, "  value(%zu) ", record->value_size);
        text_add_shown(text, record->value, record->value_size);
    }
    show_headers(record, text);
    text_add(text, "\n", 1);
    if (d->as_hex && record->key != NULL)
        add_hex_lines(text, "key", record->key, record->key_size);
    if (d->as_hex && record->value != NULL)
        add_hex_lines(text, "value", record->value, record->value_size);
    fwrite(text->data, 1, text->size, stdout);
}

static int show_records(struct dumping *d, kfl_walk *walk)
{
    kfl_records *records = NULL;
    struct text text = {0};
    int r = kfl_walk_records(walk, &records);
    if (r < 0)
        return call_failed(r);
    for (int32_t i = 0; i < kfl_records_count(records) && d->left > 0; i++) {
        const kfl_record *record = kfl_records_get(records, i);
        if (record->offset < d->from || record->offset >= d->to)
            continue;
        show_record(d, record, &text);
        d->left--;
    }
    kfl_records_release(records);
    text_free(&text);
    return output_flush() ? STATUS_OK : STATUS_FAILED;
}

/* Tells damaged bytes. Returns 1 when there is more behind them, 0, or an error. */
static int skip_damage(struct dumping *d, kfl_walk *walk)
{
    int64_t place = kfl_walk_place(walk);
    int64_t skipped = 0;
    struct text story = {0};
    text_add_format(&story, "%s", kfl_last_error());
    int r = kfl_walk_skip(walk, &skipped);
    d->is_damaged = 1;
    if (output_is_json())
        output_json_line(need_json(json_pack("{s:s, s:I, s:I, s:s}", "type", "damage", "place",
                                             (json_int_t)place, "bytes", (json_int_t)skipped,
                                             "text", story.data)));
    else
        printf("%s@%" PRId64 "  damage%s: %s; %" PRId64 " bytes skipped\n", output_bad(), place,
               output_plain(), story.data, skipped);
    text_free(&story);
    return r;
}

static int dump_file(struct dumping *d, const char *path)
{
    kfl_walk *walk = NULL;
    const kfl_batch *batch;
    int has_shown = 0;
    int r = kfl_walk_open(path, &walk);
    int status = r < 0 ? call_failed(r) : STATUS_OK;
    while (status == STATUS_OK && d->left > 0 && !call_stopped()) {
        r = kfl_walk_next(walk, &batch);
        if (r == KFL_E_CORRUPT)
            r = skip_damage(d, walk);
        else if (r > 0 && (batch->base_offset >= d->published || batch->base_offset >= d->to))
            break;
        else if (r > 0 && (batch->kind == KFL_BATCH_END_MARK ? d->from <= batch->end_offset
                                                             : batch->end_offset > d->from)) {
            if (!has_shown)
                show_segment(walk, path);
            has_shown = 1;
            show_batch(batch);
            if (batch->kind == KFL_BATCH_RECORDS && !d->only_batches)
                status = show_records(d, walk);
        }
        if (r < 0)
            status = call_failed(r);
        if (r <= 0)
            break;
    }
    kfl_walk_close(walk);
    return status;
}

static int dump_partition(struct dumping *d, const char *topic, int32_t partition)
{
    kfl_segments *segments = NULL;
    int r = kfl_topic_end_offset(d->call->store, topic, partition, &d->published);
    if (r >= 0)
        r = kfl_segments_list(d->call->store, topic, partition, &segments);
    int status = r < 0 ? call_failed(r) : STATUS_OK;
    for (int32_t i = 0; i < kfl_segments_count(segments) && status == STATUS_OK && d->left > 0;
         i++) {
        const kfl_segment *segment = kfl_segments_get(segments, i);
        if (segment->state != KFL_SEGMENT_PREPARED && segment->end_offset > d->from &&
            segment->base_offset < d->to)
            status = dump_file(d, segment->path);
    }
    kfl_segments_release(segments);
    d->published = INT64_MAX;
    return status;
}

/* "orders/1" is one partition, "orders" all of them. */
static int dump_topic(struct dumping *d, const char *word)
{
    const char *slash = strrchr(word, '/');
    char *topic = need(slash != NULL ? strndup(word, (size_t)(slash - word)) : strdup(word));
    int64_t partition = -1;
    int32_t count = 0;
    int status = STATUS_OK;
    if (d->call->store == NULL)
        status = call_open(d->call, OPEN_TO_READ);
    if (status == STATUS_OK)
        status = call_topic(d->call, topic, &count);
    if (status == STATUS_OK && slash != NULL && !text_to_number(slash + 1, &partition))
        status = call_misused(d->call, "\"%s\" is neither a file nor TOPIC/PARTITION", word);
    if (status == STATUS_OK && (partition >= count || (slash != NULL && partition < 0))) {
        say("no partition %" PRId64 " of \"%s\": it has %" PRId32, partition, topic, count);
        status = STATUS_MISSING;
    }
    int32_t first = partition < 0 ? 0 : (int32_t)partition;
    int32_t last = partition < 0 ? count - 1 : (int32_t)partition;
    for (int32_t i = first; i <= last && status == STATUS_OK && d->left > 0; i++)
        status = dump_partition(d, topic, i);
    free(topic);
    return status;
}

static int is_file(const char *word)
{
    struct stat found;
    const char *slash = strrchr(word, '/');
    const char *name = slash != NULL ? slash + 1 : word;
    return (stat(word, &found) == 0 && S_ISREG(found.st_mode)) ||
           (strspn(name, "0123456789") == 20 && strcmp(name + 20, ".log") == 0);
}

int run_dump(struct call *call)
{
    struct dumping d = {.call = call, .published = INT64_MAX};
    int status = call_number(call, "from", 0, INT64_MAX, 0, &d.from);
    if (status == STATUS_OK)
        status = call_number(call, "to", 0, INT64_MAX, INT64_MAX, &d.to);
    if (status == STATUS_OK)
        status = call_number(call, "max", 1, INT64_MAX, INT64_MAX, &d.left);
    d.only_batches = call_option(call, "batches") != NULL;
    d.as_hex = call_option(call, "hex") != NULL;
    for (int i = 0; i < call->argument_count && status == STATUS_OK && d.left > 0; i++)
        status = is_file(call->arguments[i]) ? dump_file(&d, call->arguments[i])
                                             : dump_topic(&d, call->arguments[i]);
    return status == STATUS_OK && d.is_damaged ? STATUS_DAMAGE : status;
}
