/* SPDX-License-Identifier: MIT */
/*
 * Damage to the catalog's file: whatever is flipped, cut or overwritten, the answer is a clean
 * error or exactly the rows that were there.
 *
 * KFL_TEST_EXHAUSTIVE=1 flips every bit, and opens each file that passes the check; without it one
 * random bit of each byte is flipped, and one file in 512 is opened. KFL_TEST_SEED gives the seed.
 */
#include "catalog/check.h"

#include "quick_asserts.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

#include "base/hash.h"
#include "base/random.h"
#include "catalog/history.h"
#include "catalog/rows.h"
#include "fixture.h"
#include "suite.h"

static uint8_t *image; /* of the sound file */
static size_t image_size;
static uint64_t image_rows;
static uint64_t seed;
static bool exhaustive;

static uint64_t next_random(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return seed >> 24;
}

/* ---- a catalog with some of everything ---- */

static int hash_row(struct kfl__catalog_txn *txn, const struct kfl__row *row, void *context)
{
    (void)txn;
    uint64_t *hash = context;
    if (row->key[0] == KFL_TABLE_STAMP)
        return 0;
    *hash = kfl__hash64_seeded(row->key, row->key_size, *hash);
    *hash = kfl__hash64_seeded(row->bytes, row->size, *hash);
    return 0;
}

static int run_hash_rows(struct kfl__catalog_txn *txn, void *context)
{
    int r = 0;
    for (int table = KFL_TABLE_STORE; table <= KFL_TABLE_HISTORY && r == 0; table++) {
        struct kfl__key key;
        kfl__key_begin(&key, (enum kfl__table)table);
        r = kfl__rows_visit(txn, &key, hash_row, context);
    }
    return r;
}

static int run_fill(struct kfl__catalog_txn *txn, void *context)
{
    uint64_t topic_id = *(const uint64_t *)context;
    for (int i = 0; i < 30; i++) {
        char group[32];
        snprintf(group, sizeof group, "group-%d", i * 7919 % 1000);
        struct kfl__offset_row offset = {.offset = i, .metadata = "note", .metadata_size = 4};
        assert_ok(kfl__offsets_put(txn, group, topic_id, i % 4, &offset));
        struct kfl__segment_row segment = {.segment_id = i, .state = 1 + (uint32_t)i % 5};
        assert_ok(kfl__segments_put(txn, topic_id, i % 3, &segment));
        struct kfl__history_row entry = {.kind = 1, .partition = -1, .text = "opened"};
        assert_ok(kfl__history_add(txn, &entry));
    }
    return 0;
}

static void read_image(void)
{
    int fd = open(temp_dir_file(KFL_CATALOG_FILE), O_RDONLY);
    ck_assert_int_ge(fd, 0);
    off_t size = lseek(fd, 0, SEEK_END);
    image_size = (size_t)size;
    image = malloc(image_size);
    ck_assert_ptr_nonnull(image);
    ck_assert_int_eq(pread(fd, image, image_size, 0), size);
    close(fd);
}

static void make_image(void)
{
    static char properties[6000];
    memset(properties, 'p', sizeof properties - 1);
    uint64_t first_id;
    uint64_t topic_id;
    assert_ok(open_catalog());
    assert_ok(create_topic("first", 10, properties, &first_id));
    assert_ok(create_topic("a.b", 4, "retention.ms=1\n", &topic_id));
    assert_ok(kfl__catalog_change_run(catalog, run_fill, &first_id));
    assert_ok(kfl__catalog_change_run(catalog, run_fill, &topic_id));
    assert_ok(delete_topic("first"));
    assert_ok(create_topic("second", 3, properties, &first_id));
    for (int i = 0; i < 5; i++)
        assert_ok(commit_offset("g", topic_id, 0, i));
    image_rows = 0;
    assert_ok(kfl__catalog_look(catalog, run_hash_rows, &image_rows));
    close_catalog();
    read_image();
}

static void set_up_image(void)
{
    set_up_folder();
    const char *given = getenv("KFL_TEST_SEED");
    seed = given != NULL ? strtoull(given, NULL, 0) : kfl__random64();
    exhaustive = getenv("KFL_TEST_EXHAUSTIVE") != NULL;
    printf("# KFL_TEST_SEED=%llu\n", (unsigned long long)seed);
    make_image();
}

static void tear_down_image(void)
{
    free(image);
    image = NULL;
    tear_down_catalog();
}

static int open_memory_file(const void *bytes, size_t size)
{
    int fd = memfd_create("catalog", MFD_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(pwrite(fd, bytes, size, 0), (ssize_t)size);
    return fd;
}

static void write_file(const void *bytes, size_t size)
{
    int fd = open(temp_dir_file(KFL_CATALOG_FILE), O_WRONLY | O_TRUNC | O_CREAT, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, bytes, size), (ssize_t)size);
    close(fd);
}

/* A file that the check lets pass must hold exactly the rows. */
static void open_and_look(const void *bytes, size_t size)
{
    write_file(bytes, size);
    options.check = false;
    options.create = false;
    assert_ok(open_catalog());
    uint64_t rows = 0;
    assert_ok(kfl__catalog_look(catalog, run_hash_rows, &rows));
    ck_assert_uint_eq(rows, image_rows);
    close_catalog();
}

/* And bear some changes. */
static void open_and_compare(const void *bytes, size_t size)
{
    open_and_look(bytes, size);
    assert_ok(open_catalog());
    assert_ok(create_topic("after", 100, NULL, NULL));
    assert_ok(delete_topic("second"));
    close_catalog();
    options.check = true;
    assert_ok(open_catalog());
    close_catalog();
}

static void assert_damaged(int r)
{
    ck_assert_int_eq(r, KFL_E_CORRUPT);
    ck_assert_ptr_nonnull(strstr(kfl_last_error(), "kafkalite repair"));
}

/* ---- tests ---- */

START_TEST(a_sound_file_passes)
{
    int fd = open_memory_file(image, image_size);
    assert_code(kfl__catalog_check(fd, "sound"), 0);
    close(fd);
    open_and_compare(image, image_size);
}
END_TEST

START_TEST(a_flipped_bit_is_told_or_harmless)
{
    int fd = open_memory_file(image, image_size);
    size_t passed = 0;
    size_t refused = 0;
    for (size_t i = 0; i < image_size; i++) {
        int first = exhaustive ? 0 : (int)(next_random() % 8);
        int last = exhaustive ? 7 : first;
        for (int bit = first; bit <= last; bit++) {
            uint8_t byte = (uint8_t)(image[i] ^ 1u << bit);
            ck_assert_int_eq(pwrite(fd, &byte, 1, (off_t)i), 1);
            int r = kfl__catalog_check(fd, "flipped");
            if (r < 0) {
                assert_damaged(r);
                refused++;
                continue;
            }
            ck_assert_msg(r == 0, "byte %zu bit %d: %d", i, bit, r);
            if (passed++ % 512 == 0 || exhaustive) {
                image[i] = byte;
                open_and_compare(image, image_size);
                image[i] = (uint8_t)(byte ^ 1u << bit);
            }
        }
        ck_assert_int_eq(pwrite(fd, &image[i], 1, (off_t)i), 1);
    }
    printf("# %zu bytes: %zu flips told, %zu harmless\n", image_size, refused, passed);
    ck_assert_uint_gt(refused, image_size / 20);
    close(fd);
}
END_TEST

/* Most of what LMDB believes stands here, and nothing in it vouches for the rest. */
START_TEST(each_bit_of_the_meta_pages_is_told_or_harmless)
{
    for (size_t bit = 0; bit < 2 * (size_t)152 * 8; bit++) {
        uint8_t *byte = image + (bit / 8 < 152 ? bit / 8 : 4096 - 152 + bit / 8);
        *byte ^= (uint8_t)(1u << bit % 8);
        int fd = open_memory_file(image, image_size);
        int r = kfl__catalog_check(fd, "flipped");
        close(fd);
        if (r < 0)
            assert_damaged(r);
        else
            open_and_look(image, image_size);
        *byte ^= (uint8_t)(1u << bit % 8);
    }
}
END_TEST

START_TEST(a_cut_file_is_told_or_complete)
{
    size_t passed = 0;
    for (size_t size = 512; size < image_size; size += 512) {
        int fd = open_memory_file(image, size);
        int r = kfl__catalog_check(fd, "cut");
        close(fd);
        if (r < 0) {
            assert_damaged(r);
            continue;
        }
        ck_assert_msg(r == 0, "cut at %zu: %d", size, r);
        passed++;
        open_and_compare(image, size);
    }
    printf("# %zu cuts of free pages only\n", passed);
}
END_TEST

/* A store that never had another commit than its creation is not taken for unfinished either. */
START_TEST(a_cut_new_file_is_told)
{
    close_catalog();
    ck_assert_int_eq(unlink(temp_dir_file(KFL_CATALOG_FILE)), 0);
    assert_ok(open_catalog());
    close_catalog();
    free(image);
    read_image();
    for (size_t size = 512; size < image_size; size += 512) {
        int fd = open_memory_file(image, size);
        assert_damaged(kfl__catalog_check(fd, "cut"));
        close(fd);
    }
}
END_TEST

START_TEST(zeros_and_noise_are_told)
{
    memset(image, 0, image_size);
    int fd = open_memory_file(image, image_size);
    assert_damaged(kfl__catalog_check(fd, "zeros"));
    close(fd);
    for (int round = 0; round < 20; round++) {
        for (size_t i = 0; i < image_size; i++)
            image[i] = (uint8_t)next_random();
        fd = open_memory_file(image, round == 0 ? 100 : image_size);
        assert_damaged(kfl__catalog_check(fd, "noise"));
        close(fd);
    }
}
END_TEST

/* Pages full of noise, of zeros, or of another page, in an otherwise sound file. */
START_TEST(a_bad_page_is_told_or_harmless)
{
    uint8_t *bytes = malloc(image_size);
    ck_assert_ptr_nonnull(bytes);
    size_t pages = image_size / 4096;
    int rounds = exhaustive ? 100000 : 500;
    for (int round = 0; round < rounds; round++) {
        memcpy(bytes, image, image_size);
        uint8_t *page = bytes + next_random() % pages * 4096;
        size_t sector = next_random() % 8 * 512;
        switch (next_random() % 4) {
        case 0:
            memcpy(page, image + next_random() % pages * 4096, 4096);
            break;
        case 1:
            memset(page + sector, 0, 512);
            break;
        case 2:
            memcpy(page + sector, image + next_random() % pages * 4096 + sector, 512);
            break;
        default:
            for (int i = 0; i < 4; i++)
                page[next_random() % 4096] = (uint8_t)next_random();
        }
        int fd = open_memory_file(bytes, image_size);
        int r = kfl__catalog_check(fd, "bad page");
        close(fd);
        if (r < 0)
            ck_assert(r == KFL_E_CORRUPT);
        else if (round % 16 == 0)
            open_and_compare(bytes, image_size);
    }
    free(bytes);
}
END_TEST

/* An older tree under a newer meta page, as a torn write of that page might leave it. */
START_TEST(a_meta_page_that_names_an_older_tree_is_told)
{
    uint8_t *older = image;
    assert_ok(open_catalog());
    assert_ok(create_topic("x", 1, NULL, NULL));
    assert_ok(delete_topic("x"));
    close_catalog();
    read_image();
    uint64_t even;
    uint64_t odd;
    memcpy(&even, image + 144, sizeof even);
    memcpy(&odd, image + 4096 + 144, sizeof odd);
    size_t newest = even > odd ? 0 : 4096;
    for (size_t end = 40; end < 152; end += 8) {
        uint8_t *torn = malloc(image_size);
        ck_assert_ptr_nonnull(torn);
        memcpy(torn, image, image_size);
        memcpy(torn + newest + 32, older + newest + 32, end - 32);
        int fd = open_memory_file(torn, image_size);
        int r = kfl__catalog_check(fd, "torn");
        close(fd);
        ck_assert_msg(end == 40 ? r == 0
                                : r == KFL_E_CORRUPT || memcmp(torn, image, image_size) == 0,
                      "torn at %zu: %d", end, r);
        free(torn);
    }
    free(older);
}
END_TEST

/* The check is not run while others live: then each row stands up for itself. */
START_TEST(a_damaged_row_is_told_with_its_key)
{
    uint8_t *found = memmem(image, image_size, "group-757", 9);
    size_t count = 0;
    while (found != NULL) {
        found[9 + 4] ^= 1;
        found = memmem(found + 1, image_size - (size_t)(found + 1 - image), "group-757", 9);
        count++;
    }
    ck_assert_uint_gt(count, 0);
    write_file(image, image_size);
    assert_damaged(open_catalog());
    ck_assert_ptr_nonnull(strstr(kfl_last_error_path(), KFL_CATALOG_FILE));
    options.check = false;
    assert_ok(open_catalog());
    uint64_t rows = 0;
    assert_damaged(kfl__catalog_look(catalog, run_hash_rows, &rows));
    ck_assert_ptr_nonnull(strstr(kfl_last_error(), "group-757"));
}
END_TEST

START_TEST(a_megabyte_is_checked_in_a_moment)
{
    static char properties[6000];
    memset(properties, 'p', sizeof properties - 1);
    assert_ok(open_catalog());
    assert_ok(create_topic("wide", 6000, properties, NULL));
    close_catalog();
    int fd = open(temp_dir_file(KFL_CATALOG_FILE), O_RDONLY);
    off_t size = lseek(fd, 0, SEEK_END);
    double best_ms = 1e9;
    for (int i = 0; i < 5; i++) {
        clock_t start = clock();
        assert_code(kfl__catalog_check(fd, "large"), 0);
        double cpu_ms = (double)(clock() - start) * 1000 / CLOCKS_PER_SEC;
        best_ms = cpu_ms < best_ms ? cpu_ms : best_ms;
    }
    close(fd);
    printf("# %lld bytes: %.2f ms\n", (long long)size, best_ms);
    ck_assert_msg(best_ms < 50, "%f ms", best_ms);
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("catalog/check");
    TCase *damage = tcase_create("damage");
    tcase_add_checked_fixture(damage, set_up_image, tear_down_image);
    tcase_set_timeout(damage, getenv("KFL_TEST_EXHAUSTIVE") != NULL ? 36000 : 100);
    tcase_add_test(damage, a_sound_file_passes);
    tcase_add_test(damage, a_flipped_bit_is_told_or_harmless);
    tcase_add_test(damage, each_bit_of_the_meta_pages_is_told_or_harmless);
    tcase_add_test(damage, a_cut_file_is_told_or_complete);
    tcase_add_test(damage, a_cut_new_file_is_told);
    tcase_add_test(damage, zeros_and_noise_are_told);
    tcase_add_test(damage, a_bad_page_is_told_or_harmless);
    tcase_add_test(damage, a_meta_page_that_names_an_older_tree_is_told);
    tcase_add_test(damage, a_damaged_row_is_told_with_its_key);
    tcase_add_test(damage, a_megabyte_is_checked_in_a_moment);
    suite_add_tcase(suite, damage);
    return suite;
}
