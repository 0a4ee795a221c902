/* SPDX-License-Identifier: MIT */
#include "core.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/memory.h"
#include "engine/clean.h"
#include "engine/hands.h"
#include "engine/janitor.h"
#include "engine/sync.h"
#include "format/names.h"
#include "format/record.h"

static uint8_t core_living = 1; /* stands for the page that notices fork() */

static void core_set(kfl_config *config, const char *properties)
{
    char text[512], *rest = text;
    snprintf(text, sizeof text, "%s", properties == NULL ? "" : properties);
    for (char *one; (one = strsep(&rest, " ")) != NULL;) {
        char *value = strchr(one, '=');
        if (value == NULL)
            continue;
        *value++ = '\0';
        assert_ok(kfl_config_set(config, one, value));
    }
}

static int core_get_store(struct kfl__catalog_txn *txn, void *context)
{
    return kfl__catalog_store_get(txn, context);
}

static int core_count_open(struct kfl__catalog_txn *txn, void *context)
{
    struct kfl__catalog_store *store = context;
    int r = kfl__catalog_store_get(txn, store);
    store->open_number++;
    store->clean = false;
    return r < 0 ? r : kfl__catalog_store_put(txn, store);
}

static int core_attach(struct kfl__core *core, bool others)
{
    struct kfl__catalog_store store;
    int r = kfl__catalog_look(core->catalog, core_get_store, &store);
    if (r < 0)
        return r;
    struct kfl__state_binding binding = {
        .open_number = store.open_number, .file_mode = 0600, .held = others};
    memcpy(binding.store_id, store.store_id, sizeof binding.store_id);
    memcpy(core->store_id, store.store_id, sizeof core->store_id);
    r = kfl__state_attach(core->directory, &binding, &core->state);
    if (r == KFL_STATE_STALE) {
        ck_assert(!others);
        r = kfl__catalog_change_run(core->catalog, core_count_open, &store);
        binding.open_number = store.open_number;
        return r < 0 ? r : kfl__state_rebuild(core->directory, &binding, &core->state);
    }
    if (r == 0 && !others)
        atomic_fetch_add(&kfl__state_header(core->state)->life, 1);
    return r;
}

/* Under byte 0 of LOCK. */
static int core_join(struct kfl__core *core)
{
    bool others;
    int r = kfl__presence_others(&core->presence, NULL, &others);
    struct kfl__catalog_options options = {.create = true, .file_mode = 0600, .now_ms = 1, .check = !others};
    if (r == 0)
        r = kfl__catalog_open(core->directory, core->path, &options, &core->catalog);
    if (r == 0)
        r = core_attach(core, others);
    if (r < 0)
        return r;
    core->shared = kfl__state_header(core->state);
    r = kfl__presence_join(&core->presence, kfl__state_entries(core->state));
    if (r == 0)
        r = kfl__topics_sweep(core);
    return r < 0 ? r : kfl__presence_settle(&core->presence);
}

static void core_let_go(struct kfl__core *core)
{
    atomic_store(&core->closing, 2);
    kfl__janitor_stop(core);
    kfl__hands_destroy(core);
    kfl__catalog_close(core->catalog);
    if (core->presence.lock_fd >= 0)
        kfl__presence_leave(&core->presence, core->state == NULL ? NULL : kfl__state_entries(core->state));
    kfl__file_close(core->directory);
    kfl__topics_close(core);
    kfl__janitor_destroy(core);
    kfl__state_detach(core->state);
    kfl_config_destroy(core->config);
    kfl__mutex_destroy(&core->registry);
    kfl__free(core->path);
    kfl__free(core);
}

int core_try_open(const char *path, const char *properties, struct kfl__core **out_core)
{
    struct kfl__core *core = calloc(1, sizeof *core);
    ck_assert_ptr_nonnull(core);
    kfl__count_init(&core->count);
    core->directory = -1;
    core->presence.lock_fd = core->presence.entry = -1;
    core->fork_page = &core_living;
    kfl__clock_init(&core->clock);
    assert_ok(kfl_config_create(&core->config));
    core_set(core->config, "background.threads=0");
    core_set(core->config, properties);
    core->settings = kfl__config_settings(core->config);
    core->path = strdup(path);
    int r = kfl__mutex_init(&core->registry, KFL_RANK_REGISTRY);
    (void)mkdir(path, 0700);
    if (r == 0)
        r = kfl__file_open_directory(-1, path, &core->directory);
    if (r == 0)
        r = kfl__presence_enter(&core->presence, core->directory, 0600, false);
    if (r == 0)
        r = core_join(core);
    if (r == 0)
        r = kfl__janitor_start(core);
    if (r < 0) {
        struct kfl__words words;
        kfl__error_save(&words);
        core_let_go(core);
        kfl__error_restore(&words);
        return r;
    }
    *out_core = core;
    return 0;
}

struct kfl__core *core_open(const char *path, const char *properties)
{
    struct kfl__core *core = NULL;
    assert_ok(core_try_open(path, properties, &core));
    return core;
}

int core_close(struct kfl__core *core)
{
    bool others = true;
    atomic_store(&core->closing, 1);
    int r = kfl__clean_sync(core);
    assert_ok(kfl__presence_reenter(&core->presence));
    assert_ok(kfl__presence_others(&core->presence, kfl__state_entries(core->state), &others));
    if (r == 0 && !others)
        r = kfl__clean_note(core);
    core_let_go(core);
    return r;
}

void core_abandon(struct kfl__core *core)
{
    core_let_go(core);
}

void core_reboot(const char *path)
{
    char state[600];
    snprintf(state, sizeof state, "%s/state", path);
    ck_assert_int_eq(unlink(state), 0);
}

struct kfl__topic *core_topic(struct kfl__core *core, const char *name, int32_t partition_count, const char *properties)
{
    struct kfl__topic *topic = NULL;
    int r = kfl__topic_find(core, name, &topic);
    if (r == KFL_E_UNKNOWN_TOPIC_OR_PARTITION) {
        kfl_config *config;
        assert_ok(kfl_config_create(&config));
        core_set(config, properties);
        assert_ok(kfl__topics_make(core, name, partition_count, config));
        kfl_config_destroy(config);
        r = kfl__topic_find(core, name, &topic);
    }
    assert_ok(r);
    return topic;
}

struct kfl__partition *core_partition(struct kfl__core *core, const char *properties)
{
    struct kfl__partition *partition = NULL;
    struct kfl__topic *topic = core_topic(core, "t", 1, properties);
    assert_ok(kfl__topic_partition(topic, 0, &partition));
    kfl__topic_release(topic); /* the registry's share stays */
    return partition;
}

static void core_fill_value(uint8_t *to, uint32_t size, int64_t number)
{
    uint64_t word = (uint64_t)number * UINT64_C(0x9e3779b97f4a7c15) + 1;
    for (uint32_t i = 0; i < size; i++)
        to[i] = (uint8_t)(word >> (i % 8 * 8)) ^ (uint8_t)i;
}

int64_t core_append(struct kfl__partition *partition, int64_t number, uint32_t size, bool durable)
{
    return core_append_within(partition, number, size, durable, 20000);
}

int64_t core_append_within(struct kfl__partition *partition, int64_t number, uint32_t size, bool durable,
                           int64_t block_ms)
{
    struct kfl__append how = {
        .expected_offset = -1,
        .durable = durable,
        .block_ms = block_ms,
        .settings = kfl__topic_shape(partition->topic)->settings,
    };
    struct kfl__record_head head = {.key_size = -1, .value_size = (int32_t)size};
    uint8_t *bytes = malloc(sizeof head + size);
    int64_t offset = -1;
    memcpy(bytes, &head, sizeof head);
    core_fill_value(bytes + sizeof head, size, number);
    struct kfl__payload payload = {
        .size = (uint32_t)sizeof head + size,
        .unpacked_size = (uint32_t)sizeof head + size,
        .record_count = 1,
        .max_timestamp_ms = 1000000 + number,
        .bytes = bytes,
        .hash = kfl__hash64(bytes, sizeof head + size),
    };
    int r = kfl__partition_append(partition, &payload, &how, &offset);
    free(bytes);
    return r < 0 ? r : offset;
}

int64_t core_append_alone(struct kfl__partition *partition, int64_t number)
{
    uint64_t laid[8] = {0};
    struct kfl__record_head head = {.key_size = -1, .value_size = 16};
    uint32_t size = (uint32_t)sizeof head + 16;
    _Static_assert(sizeof head + 16 <= sizeof laid, "it has room");
    memcpy(laid, &head, sizeof head);
    core_fill_value((uint8_t *)laid + sizeof head, 16, number);
    return kfl__partition_append_short(partition, laid, size, kfl__hash64(laid, size), 1000000 + number, 20000,
                                       kfl__topic_shape(partition->topic)->settings);
}

void core_append_run(struct kfl__partition *partition, int64_t from, int64_t to, uint32_t size)
{
    for (int64_t number = from; number < to; number++) {
        int64_t offset = core_append(partition, number, size, false);
        ck_assert_msg(offset == number, "record %lld got offset %lld (%s)", (long long)number, (long long)offset,
                      offset < 0 ? kfl_last_error() : "");
    }
}

static void core_check_batch(const struct kfl__cursor *cursor)
{
    struct kfl__record_head head;
    const uint8_t *payload = cursor->segment->bytes + cursor->place + sizeof(struct kfl__batch_header);
    memcpy(&head, payload, sizeof head);
    ck_assert_int_eq(cursor->header.record_count, 1);
    ck_assert_uint_eq(cursor->header.unpacked_size, sizeof head + (uint32_t)head.value_size);
    uint8_t *expected = malloc((size_t)head.value_size + 1);
    core_fill_value(expected, (uint32_t)head.value_size, cursor->header.max_timestamp_ms - 1000000);
    ck_assert_mem_eq(expected, payload + sizeof head, (size_t)head.value_size);
    free(expected);
}

int64_t core_read(struct kfl__partition *partition, int64_t from, int64_t *out_holes)
{
    struct kfl__cursor cursor;
    int64_t count = 0, holes = 0, next = from;
    int r;
    kfl__cursor_init(&cursor, partition, from, false);
    while ((r = kfl__cursor_batch(&cursor)) > 0) {
        if (r == KFL_CURSOR_HOLE) {
            ck_assert_int_eq(cursor.hole_from, next);
            holes += cursor.hole_to - cursor.hole_from;
            next = cursor.hole_to;
            continue;
        }
        ck_assert_int_ge(cursor.header.base_offset, next);
        core_check_batch(&cursor);
        count++;
        kfl__cursor_pass(&cursor);
        next = cursor.offset;
    }
    assert_ok(r);
    kfl__cursor_close(&cursor);
    if (out_holes != NULL)
        *out_holes = holes;
    return count;
}

struct core_row_look {
    const struct kfl__partition *partition;
    struct kfl__partition_row *row;
};

static int core_get_row(struct kfl__catalog_txn *txn, void *context)
{
    const struct core_row_look *look = context;
    return kfl__partition_get(txn, look->partition->topic->id, look->partition->number, look->row);
}

int core_partition_row(struct kfl__partition *partition, struct kfl__partition_row *out_row)
{
    struct core_row_look look = {partition, out_row};
    return kfl__catalog_look(partition->core->catalog, core_get_row, &look);
}

static int core_put_note(struct kfl__catalog_txn *txn, void *context)
{
    return kfl__sync_put_note(txn, context);
}

int core_note_durable(struct kfl__partition *partition)
{
    struct kfl__sync_note note;
    kfl__sync_note(partition, &note);
    return kfl__catalog_change_run(partition->core->catalog, core_put_note, &note);
}

const char *core_file(struct kfl__partition *partition, int64_t segment_id)
{
    static char path[700];
    char name[KFL_NAME_SIZE];
    kfl__name_encode(name, segment_id, KFL_NAME_LOG);
    snprintf(path, sizeof path, "%s/topics/%llu/%d/%s", partition->core->path,
             (unsigned long long)partition->topic->id, (int)partition->number, name);
    return path;
}

void core_spoil(const char *path, uint64_t place, uint64_t size, int byte)
{
    struct stat status;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    ck_assert_msg(fd >= 0, "%s cannot be opened", path);
    ck_assert_int_eq(fstat(fd, &status), 0);
    uint64_t end = size == 0 ? (uint64_t)status.st_size : place + size;
    uint8_t bytes[4096];
    memset(bytes, byte, sizeof bytes);
    while (place < end) {
        size_t now = end - place < sizeof bytes ? (size_t)(end - place) : sizeof bytes;
        ck_assert_int_eq(pwrite(fd, bytes, now, (off_t)place), (ssize_t)now);
        place += now;
    }
    close(fd);
}
