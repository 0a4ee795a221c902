/* SPDX-License-Identifier: MIT */
/* The library under measurement: nothing here knows more of it than its header says. */
#include "ours.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int ours_failed(struct bench_row *row, const char *call)
{
    return bench_out(row, "%s: %s", call, kfl_last_error());
}

int ours_open(struct bench_row *row, const char *path, const char *acks, int32_t partitions,
              bool helper, struct ours *out)
{
    kfl_config *config = NULL;
    memset(out, 0, sizeof *out);
    out->touched_segment = -1;
    if (kfl_config_create(&config) < 0)
        return ours_failed(row, "config");
    int r = kfl_config_set(config, "background.threads", helper ? "1" : "0");
    if (r >= 0)
        r = kfl_store_open(path, config, &out->store);
    kfl_config_destroy(config);
    if (r < 0)
        return ours_failed(row, "store");
    r = kfl_topic_create(out->store, OURS_TOPIC, partitions, NULL);
    if (r < 0 && r != KFL_E_TOPIC_ALREADY_EXISTS)
        return ours_failed(row, "topic");
    if (kfl_config_create(&config) < 0)
        return ours_failed(row, "config");
    r = kfl_config_set(config, "acks", acks);
    if (r >= 0)
        r = kfl_producer_open(out->store, config, &out->producer);
    kfl_config_destroy(config);
    return r < 0 ? ours_failed(row, "producer") : 0;
}

void ours_close(struct ours *ours)
{
    kfl_producer_close(ours->producer);
    kfl_store_close(ours->store);
    memset(ours, 0, sizeof *ours);
}

struct ours_pack ours_pack_create(const struct bench_source *source, size_t count)
{
    struct ours_pack pack = {.count = count, .bytes_size = count * source->record_size};
    pack.rows = calloc(count, sizeof *pack.rows);
    pack.owned = malloc(pack.bytes_size);
    if (pack.rows == NULL || pack.owned == NULL)
        bench_die("out of memory");
    for (size_t i = 0; i < count; i++) {
        memcpy(pack.owned + i * source->record_size, bench_source_record(source, i),
               source->record_size);
        pack.rows[i].timestamp_ms = KFL_TIMESTAMP_NOW;
        pack.rows[i].key_size = (int32_t)BENCH_KEY_SIZE;
        pack.rows[i].value_size = (int32_t)source->value_size;
    }
    pack.bytes = pack.owned;
    return pack;
}

void ours_pack_destroy(struct ours_pack *pack)
{
    free(pack->rows);
    free(pack->owned);
    memset(pack, 0, sizeof *pack);
}

int ours_fill(struct bench_row *row, struct ours *ours, const struct bench_source *source,
              uint64_t count, size_t per_call)
{
    int r = 0;
    struct ours_pack pack = ours_pack_create(source, per_call);
    for (uint64_t n = 0; n < count && r >= 0 && bench_going_on(); n += per_call) {
        if (per_call == 1) {
            const char *record = bench_source_record(source, n);
            r = kfl_producer_send(ours->producer, OURS_TOPIC, 0, record, BENCH_KEY_SIZE,
                                  record + BENCH_KEY_SIZE, source->value_size, NULL, 0,
                                  KFL_TIMESTAMP_NOW, NULL);
        } else {
            r = kfl_producer_send_packed(ours->producer, OURS_TOPIC, pack.rows, pack.count,
                                         pack.bytes, pack.bytes_size);
        }
    }
    ours_pack_destroy(&pack);
    return r < 0 ? ours_failed(row, "fill") : 0;
}

static void ours_touch_file(const kfl_segment *segment)
{
    int fd = open(segment->path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return;
    size_t size = (size_t)segment->size_bytes;
    void *bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (bytes != MAP_FAILED) {
        madvise(bytes, size, MADV_POPULATE_WRITE);
        munmap(bytes, size);
    }
    close(fd);
}

void ours_rest(void)
{
    usleep(3000);
}

int ours_touch(struct bench_row *row, struct ours *ours)
{
    kfl_segments *segments;
    if (kfl_segments_list(ours->store, OURS_TOPIC, 0, &segments) < 0)
        return ours_failed(row, "segments");
    for (int32_t i = 0; i < kfl_segments_count(segments); i++) {
        const kfl_segment *segment = kfl_segments_get(segments, i);
        if (segment->state == KFL_SEGMENT_SEALED || segment->segment_id <= ours->touched_segment)
            continue;
        ours_touch_file(segment);
        ours->touched_segment = segment->segment_id;
    }
    kfl_segments_release(segments);
    ours_rest();
    return 0;
}
