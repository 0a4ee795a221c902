/* SPDX-License-Identifier: MIT */
/* What the tests of verify share: a filled store, and what is expected of a check. */
#ifndef KFL_TESTS_API_VERIFY_FIXTURE_H
#define KFL_TESTS_API_VERIFY_FIXTURE_H

#include "base/hash.h"
#include "format/batch.h"
#include "inspect_fixture.h"
#include "suite.h"

static kfl_findings *findings;

static inline void forget(void)
{
    kfl_findings_release(findings);
    findings = NULL;
    inspect_tear_down();
}

static inline int verify(const char *topic, int quick)
{
    kfl_findings_release(findings);
    findings = NULL;
    return OK(kfl_store_verify(store, topic, quick, &findings));
}

static inline void expect_nothing(void)
{
    int count = verify(NULL, 0);
    ck_assert_msg(count == 0, "%d: %s", count,
                  count == 0 ? "" : kfl_findings_get(findings, 0)->text);
}

/* The only one. */
static inline const kfl_finding *expect_one(int quick, int32_t kind, const char *topic,
                                            int32_t partition, const char *path)
{
    int count = verify(NULL, quick);
    ck_assert_msg(count == 1, "%d findings: %s", count,
                  count == 0 ? "none" : kfl_findings_get(findings, count - 1)->text);
    const kfl_finding *finding = kfl_findings_get(findings, 0);
    ck_assert_msg(finding->kind == kind, "%d: %s", finding->kind, finding->text);
    ck_assert_str_eq(finding->topic, topic);
    ck_assert_int_eq(finding->partition, partition);
    ck_assert_str_eq(finding->path, path);
    ck_assert_int_gt((int)strlen(finding->text), 0);
    return finding;
}

/*
 * Topic t, partition 1: three files and more, some sealed, of 1,000-byte values; others stand
 * beside.
 */
#define RECORDS 200
static inline void fill(void)
{
    inspect_topic("s", 1, NULL, NULL);
    inspect_topic("t", 3, NULL, NULL);
    inspect_send("s", 0, 20, 100);
    inspect_send("t", 1, RECORDS, 1000);
    inspect_send("t", 2, 5, 10);
    OK(kfl_store_sync(store, -1));
    OK(kfl_store_maintain(store, 1000, NULL));
}

static inline kfl_segment file(int32_t index)
{
    return inspect_segment("t", 1, index);
}

static inline kfl_segment active_file(void)
{
    for (int32_t i = 0;; i++)
        if (file(i).state == KFL_SEGMENT_ACTIVE)
            return file(i);
}

static inline struct kfl__segment_header header_of(const char *path)
{
    struct kfl__segment_header header;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ck_assert_int_eq(pread(fd, &header, sizeof header, 0), (ssize_t)sizeof header);
    close(fd);
    return header;
}

/* Another batch in the place of one, sealed so that it verifies. */
static inline void forge(const char *path, kfl_batch batch, int64_t base_offset,
                         uint32_t writer_epoch, uint16_t flags, int fill_with)
{
    uint8_t bytes[4096];
    uint32_t payload = (uint32_t)batch.size - 48;
    ck_assert_int_le(batch.size, (int64_t)sizeof bytes);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ck_assert_int_eq(pread(fd, bytes, (size_t)batch.size, batch.place), batch.size);
    close(fd);
    if (fill_with >= 0)
        memset(bytes + 48, fill_with, payload);
    const struct kfl__batch_facts facts = {.base_offset = base_offset,
                                           .max_timestamp_ms = batch.max_timestamp_ms,
                                           .record_count = 1,
                                           .payload_size = payload,
                                           .unpacked_size = payload,
                                           .writer_epoch = writer_epoch,
                                           .flags = flags,
                                           .durable_offset = -1,
                                           .payload_hash = kfl__hash64(bytes + 48, payload)};
    kfl__batch_seal(bytes, &facts, (uint64_t)batch.place, header_of(path).seed);
    inspect_write(path, batch.place, bytes, (size_t)batch.size);
}

static inline void add_case(Suite *suite, const char *name, const TTest *const *tests, int count)
{
    TCase *tcase = tcase_create(name);
    tcase_add_checked_fixture(tcase, inspect_set_up, forget);
    tcase_set_timeout(tcase, 30);
    for (int i = 0; i < count; i++)
        tcase_add_test(tcase, tests[i]);
    suite_add_tcase(suite, tcase);
}
#define ADD_CASE(suite, name, ...)                                                                 \
    add_case(suite, name, (const TTest *const[]){__VA_ARGS__},                                     \
             (int)(sizeof(const TTest *const[]){__VA_ARGS__} / sizeof(TTest *)))

#endif
