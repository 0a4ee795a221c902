/* SPDX-License-Identifier: MIT */
/* A catalog in a fresh folder, and the few changes that most tests of this layer make. */
#ifndef KFL_TESTS_CATALOG_FIXTURE_H
#define KFL_TESTS_CATALOG_FIXTURE_H

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "catalog/catalog.h"
#include "catalog/offsets.h"
#include "catalog/segments.h"
#include "catalog/topics.h"
#include "kafkalite.h"
#include "temp_dir.h"

#define assert_ok(call)                                                                            \
    do {                                                                                           \
        int result_ = (call);                                                                      \
        ck_assert_msg(result_ >= 0, "%s: %s (%s)", #call, kfl_error_name(result_),                 \
                      kfl_last_error());                                                           \
    } while (0)
#define assert_code(call, code)                                                                    \
    do {                                                                                           \
        int result_ = (call);                                                                      \
        ck_assert_msg(result_ == (code), "%s: %s (%s)", #call, kfl_error_name(result_),            \
                      kfl_last_error());                                                           \
    } while (0)

static int directory = -1;
static struct kfl__catalog *catalog;
static struct kfl__catalog_options options;

static inline int open_catalog(void)
{
    return kfl__catalog_open(directory, temp_dir_path(), &options, &catalog);
}

static inline void close_catalog(void)
{
    kfl__catalog_close(catalog);
    catalog = NULL;
}

static inline void reopen_catalog(void)
{
    close_catalog();
    assert_ok(open_catalog());
}

static inline void set_up_folder_at(const char *path)
{
    directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_ge(directory, 0);
    options = (struct kfl__catalog_options){
        .create = true,
        .file_mode = 0600,
        .now_ms = 1234567,
        .check = true,
    };
}

static inline void set_up_folder(void)
{
    set_up_folder_at(temp_dir_make());
}

static inline void set_up_catalog(void)
{
    set_up_folder();
    assert_ok(open_catalog());
}

static inline void tear_down_catalog(void)
{
    close_catalog();
    close(directory);
    temp_dir_remove();
}

static inline int run_create(struct kfl__catalog_txn *txn, void *context)
{
    return kfl__topics_create(txn, context);
}

/* Its result; the id in *out_topic_id, which may be NULL. */
static inline int create_topic(const char *name, int32_t partition_count, const char *properties,
                               uint64_t *out_topic_id)
{
    struct kfl__topic_row row = {
        .partition_count = partition_count, .created_ms = 77, .properties = properties};
    snprintf(row.name, sizeof row.name, "%s", name);
    int r = kfl__catalog_change_run(catalog, run_create, &row);
    if (r >= 0 && out_topic_id != NULL)
        *out_topic_id = row.topic_id;
    return r;
}

struct delete_call {
    const char *name;
    uint64_t topic_id;
};

static inline int run_delete(struct kfl__catalog_txn *txn, void *context)
{
    struct delete_call *call = context;
    return kfl__topics_delete(txn, call->name, &call->topic_id);
}

static inline int delete_topic(const char *name)
{
    struct delete_call call = {.name = name};
    return kfl__catalog_change_run(catalog, run_delete, &call);
}

/* One row of a partition or a group, put or got. */
struct row_call {
    const char *group;
    uint64_t topic_id;
    int32_t partition;
    int64_t segment_id;
    struct kfl__offset_row offset;
    struct kfl__segment_row segment;
    struct kfl__partition_row row;
    int64_t highest;
};

static inline int run_put_offset(struct kfl__catalog_txn *txn, void *context)
{
    struct row_call *call = context;
    return kfl__offsets_put(txn, call->group, call->topic_id, call->partition, &call->offset);
}

static inline int run_get_offset(struct kfl__catalog_txn *txn, void *context)
{
    struct row_call *call = context;
    int r = kfl__offsets_get(txn, call->group, call->topic_id, call->partition, &call->offset);
    call->offset.metadata = NULL; /* borrowed for the look only */
    return r;
}

static inline int commit_offset(const char *group, uint64_t topic_id, int32_t partition,
                                int64_t offset)
{
    struct row_call call = {.group = group,
                            .topic_id = topic_id,
                            .partition = partition,
                            .offset = {.offset = offset, .commit_ms = 5}};
    return kfl__catalog_change_run(catalog, run_put_offset, &call);
}

/* The committed offset, or an error. */
static inline int64_t committed_offset(const char *group, uint64_t topic_id, int32_t partition)
{
    struct row_call call = {.group = group, .topic_id = topic_id, .partition = partition};
    int r = kfl__catalog_look(catalog, run_get_offset, &call);
    return r < 0 ? r : call.offset.offset;
}

static inline int run_get_partition(struct kfl__catalog_txn *txn, void *context)
{
    struct row_call *call = context;
    return kfl__partition_get(txn, call->topic_id, call->partition, &call->row);
}

static inline int run_put_partition(struct kfl__catalog_txn *txn, void *context)
{
    struct row_call *call = context;
    return kfl__partition_put(txn, call->topic_id, call->partition, &call->row);
}

static inline int run_put_segment(struct kfl__catalog_txn *txn, void *context)
{
    struct row_call *call = context;
    return kfl__segments_put(txn, call->topic_id, call->partition, &call->segment);
}

static inline int run_get_segment(struct kfl__catalog_txn *txn, void *context)
{
    struct row_call *call = context;
    return kfl__segments_get(txn, call->topic_id, call->partition, call->segment_id,
                             &call->segment);
}

#endif
