/* SPDX-License-Identifier: MIT */
/* Opening, sharing transactions, and what other processes may do to us. */
#include <lmdb.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/hash.h"
#include "catalog/rows.h"
#include "fixture.h"
#include "peer.h"
#include "sanitized.h"
#include "suite.h"

static int run_store_get(struct kfl__catalog_txn *txn, void *context)
{
    return kfl__catalog_store_get(txn, context);
}

static int run_store_put(struct kfl__catalog_txn *txn, void *context)
{
    return kfl__catalog_store_put(txn, context);
}

static struct kfl__catalog_store store_row(void)
{
    struct kfl__catalog_store store;
    assert_ok(kfl__catalog_look(catalog, run_store_get, &store));
    return store;
}

/* ---- open ---- */

START_TEST(a_new_store_keeps_its_identity)
{
    struct kfl__catalog_store store = store_row();
    static const uint8_t zeros[16];
    ck_assert_mem_ne(store.store_id, zeros, sizeof zeros);
    ck_assert_int_eq(store.created_ms, 1234567);
    ck_assert_uint_eq(store.open_number, 0);
    ck_assert(!store.clean);
    struct kfl__catalog_store changed = store;
    changed.open_number = 9;
    changed.clean = true;
    assert_ok(kfl__catalog_change_run(catalog, run_store_put, &changed));
    options.now_ms = 42;
    reopen_catalog();
    struct kfl__catalog_store again = store_row();
    ck_assert_mem_eq(again.store_id, store.store_id, sizeof store.store_id);
    ck_assert_int_eq(again.created_ms, 1234567);
    ck_assert_uint_eq(again.open_number, 9);
    ck_assert(again.clean);
}
END_TEST

START_TEST(without_create_there_is_none)
{
    options.create = false;
    assert_code(open_catalog(), KFL_E_NOT_FOUND);
    ck_assert_int_ne(access(temp_dir_file(KFL_CATALOG_FILE), F_OK), 0);
    options.create = true;
    options.read_only = true;
    assert_code(open_catalog(), KFL_E_NOT_FOUND);
    ck_assert_int_ne(access(temp_dir_file(KFL_CATALOG_FILE), F_OK), 0);
}
END_TEST

static void make_file(size_t zeros)
{
    FILE *file = fopen(temp_dir_file(KFL_CATALOG_FILE), "w");
    ck_assert_ptr_nonnull(file);
    for (size_t i = 0; i < zeros; i++)
        ck_assert_int_eq(fputc(0, file), 0);
    ck_assert_int_eq(fclose(file), 0);
}

static void make_empty_environment(void)
{
    MDB_env *env;
    ck_assert_int_eq(mdb_env_create(&env), 0);
    ck_assert_int_eq(mdb_env_open(env, temp_dir_file(KFL_CATALOG_FILE), MDB_NOSUBDIR, 0600), 0);
    mdb_env_close(env);
}

START_TEST(a_half_made_file_of_a_killed_creator_is_completed)
{
    if (_i < 4)
        make_file((size_t[]){0, 100, 4096, 8192}[_i]);
    else
        make_empty_environment();
    if (_i == 5)
        ck_assert_int_eq(truncate(temp_dir_file(KFL_CATALOG_FILE), 4096), 0);
    options.create = false;
    assert_code(open_catalog(), KFL_E_NOT_FOUND);
    options.create = true;
    assert_ok(open_catalog());
    ck_assert_int_eq(store_row().created_ms, 1234567);
    assert_ok(create_topic("t", 1, NULL, NULL));
    options.create = false;
    reopen_catalog();
}
END_TEST

static uint64_t file_hash(void)
{
    static char bytes[1 << 20];
    FILE *file = fopen(temp_dir_file(KFL_CATALOG_FILE), "r");
    ck_assert_ptr_nonnull(file);
    size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    return kfl__hash64(bytes, size);
}

static int run_newer_format(struct kfl__catalog_txn *txn, void *context)
{
    (void)context;
    struct kfl__key key;
    kfl__key_begin(&key, KFL_TABLE_STORE);
    struct kfl__store_head head = {.version = 1, .format = KFL_CATALOG_FORMAT + 1};
    return kfl__row_put(txn, &key, &head, sizeof head, "more", 4);
}

START_TEST(a_newer_format_is_refused_and_not_touched)
{
    assert_ok(open_catalog());
    assert_ok(kfl__catalog_change_run(catalog, run_newer_format, NULL));
    close_catalog();
    ck_assert_int_eq(unlink(temp_dir_file(KFL_CATALOG_FILE "-lock")), 0);
    uint64_t hash = file_hash();
    assert_code(open_catalog(), KFL_E_VERSION);
    ck_assert_uint_eq(file_hash(), hash);
    ck_assert_int_ne(access(temp_dir_file(KFL_CATALOG_FILE "-lock"), F_OK), 0);
}
END_TEST

START_TEST(new_files_have_the_mode_that_was_asked_for)
{
    umask(0);
    options.file_mode = 0640;
    assert_ok(open_catalog());
    static const char *const names[] = {KFL_CATALOG_FILE, KFL_CATALOG_FILE "-lock"};
    for (size_t i = 0; i < 2; i++) {
        struct stat status;
        ck_assert_int_eq(stat(temp_dir_file(names[i]), &status), 0);
        ck_assert_uint_eq(status.st_mode & 0777, 0640);
    }
}
END_TEST

START_TEST(a_reader_changes_nothing)
{
    uint64_t topic_id;
    assert_ok(open_catalog());
    assert_ok(create_topic("t", 1, NULL, &topic_id));
    assert_ok(commit_offset("g", topic_id, 0, 5));
    close_catalog();
    options.read_only = true;
    assert_ok(open_catalog());
    ck_assert_int_eq(committed_offset("g", topic_id, 0), 5);
    assert_code(commit_offset("g", topic_id, 0, 6), KFL_E_READ_ONLY);
    ck_assert_int_eq(committed_offset("g", topic_id, 0), 5);
}
END_TEST

static void read_as_nobody(struct peer *self, void *context)
{
    (void)self;
    if (geteuid() == 0)
        ck_assert_int_eq(setresuid(65534, 65534, 65534), 0);
    options.create = false;
    assert_code(open_catalog(), KFL_E_READ_ONLY);
    options.read_only = true;
    assert_ok(open_catalog());
    ck_assert_int_eq(committed_offset("g", *(uint64_t *)context, 0), 5);
    close_catalog();
}

START_TEST(a_reader_without_permission_to_write_reads)
{
    uint64_t topic_id;
    assert_ok(open_catalog());
    assert_ok(create_topic("t", 1, NULL, &topic_id));
    assert_ok(commit_offset("g", topic_id, 0, 5));
    close_catalog();
    ck_assert_int_eq(chmod(temp_dir_file(KFL_CATALOG_FILE), 0444), 0);
    ck_assert_int_eq(chmod(temp_dir_file(KFL_CATALOG_FILE "-lock"), 0444), 0);
    ck_assert_int_eq(chmod(temp_dir_path(), 0555), 0);
    struct peer peer;
    peer_start(&peer, read_as_nobody, &topic_id);
    peer_join(&peer);
    ck_assert_int_eq(chmod(temp_dir_path(), 0755), 0);
}
END_TEST

static void open_in_small_space(struct peer *self, void *context)
{
    (void)self;
    (void)context;
    struct rlimit limit = {(rlim_t)1 << 30, (rlim_t)1 << 30};
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &limit), 0);
    assert_ok(open_catalog());
    assert_ok(create_topic("t", 10, NULL, NULL));
    void *rest = malloc((size_t)512 << 20); /* the program has other uses for it */
    ck_assert_ptr_nonnull(rest);
    free(rest);
    close_catalog();
}

START_TEST(a_limited_address_space_gets_a_smaller_map) /* rule:R28 */
{
    if (SANITIZED)
        return; /* they need the address space for themselves */
    struct peer peer;
    peer_start(&peer, open_in_small_space, NULL);
    peer_join(&peer);
}
END_TEST

/* ---- changes ---- */

#define THREADS 32
#define CHANGES 40

static uint64_t shared_topic;
static sem_t about_to_change;

struct worker {
    pthread_t thread;
    int number;
    char group[8];
};

static int run_fail(struct kfl__catalog_txn *txn, void *context)
{
    (void)txn;
    const struct worker *worker = context;
    return kfl__fail(KFL_E_CONFLICT, "the words of %d", worker->number);
}

static int run_fail_after_put(struct kfl__catalog_txn *txn, void *context)
{
    const struct worker *worker = context;
    struct kfl__offset_row row = {.offset = 666};
    assert_ok(kfl__offsets_put(txn, "broken", shared_topic, worker->number, &row));
    return kfl__fail(KFL_E_ABORTED, "the words of %d", worker->number);
}

static void *commit_many(void *context)
{
    struct worker *worker = context;
    sem_post(&about_to_change);
    for (int i = 1; i <= CHANGES; i++)
        assert_ok(commit_offset(worker->group, shared_topic, worker->number, i));
    return NULL;
}

static void *commit_or_fail(void *context)
{
    struct worker *worker = context;
    sem_post(&about_to_change);
    char words[64];
    snprintf(words, sizeof words, "the words of %d", worker->number);
    for (int i = 1; i <= CHANGES; i++) {
        if (worker->number % 3 == 0) {
            assert_ok(commit_offset(worker->group, shared_topic, worker->number, i));
            continue;
        }
        bool clean = worker->number % 3 == 1;
        assert_code(kfl__catalog_change_run(catalog, clean ? run_fail : run_fail_after_put, worker),
                    clean ? KFL_E_CONFLICT : KFL_E_ABORTED);
        ck_assert_str_eq(kfl_last_error(), words);
    }
    return NULL;
}

/* Holds the first transaction open until all workers are on their way to join the next one. */
static int run_wait_for_workers(struct kfl__catalog_txn *txn, void *context)
{
    static int arrived; /* a change may run more than once */
    for (; arrived < THREADS; arrived++)
        while (sem_wait(&about_to_change) != 0)
            ;
    return run_put_offset(txn, context);
}

static void run_workers(struct worker *workers, void *(*run)(void *))
{
    ck_assert_int_eq(sem_init(&about_to_change, 0, 0), 0);
    assert_ok(create_topic("shared", THREADS, NULL, &shared_topic));
    for (int i = 0; i < THREADS; i++) {
        workers[i].number = i;
        snprintf(workers[i].group, sizeof workers[i].group, "g%d", i);
        ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, run, &workers[i]), 0);
    }
    struct row_call first = {.group = "first", .topic_id = shared_topic, .offset = {.offset = 1}};
    assert_ok(kfl__catalog_change_run(catalog, run_wait_for_workers, &first));
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_join(workers[i].thread, NULL), 0);
    sem_destroy(&about_to_change);
}

START_TEST(those_who_change_at_the_same_time_share_a_transaction) /* rule:R8 */
{
    struct worker workers[THREADS];
    uint64_t transactions;
    uint64_t changes;
    run_workers(workers, commit_many);
    kfl__catalog_counters(catalog, &transactions, &changes);
    ck_assert_uint_ge(changes, THREADS * CHANGES);
    /* valgrind runs one thread at a time, and then there is less to share. */
    uint64_t share = getenv("KFL_TESTS_VALGRIND") == NULL ? 4 : 1;
    ck_assert_msg(transactions < changes / share, "%llu transactions for %llu changes",
                  (unsigned long long)transactions, (unsigned long long)changes);
    reopen_catalog();
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(committed_offset(workers[i].group, shared_topic, i), CHANGES);
}
END_TEST

START_TEST(a_failing_change_harms_nobody)
{
    struct worker workers[THREADS];
    run_workers(workers, commit_or_fail);
    reopen_catalog();
    for (int i = 0; i < THREADS; i++) {
        ck_assert_int_eq(committed_offset(workers[i].group, shared_topic, i),
                         i % 3 == 0 ? CHANGES : KFL_E_NOT_FOUND);
        ck_assert_int_eq(committed_offset("broken", shared_topic, i), KFL_E_NOT_FOUND);
    }
}
END_TEST

static int run_nothing(struct kfl__catalog_txn *txn, void *context)
{
    (void)txn;
    (void)context;
    return 17;
}

START_TEST(a_change_that_puts_nothing_writes_nothing)
{
    uint64_t transactions;
    uint64_t changes;
    uint64_t hash = file_hash();
    ck_assert_int_eq(kfl__catalog_change_run(catalog, run_nothing, NULL), 17);
    uint64_t after;
    kfl__catalog_counters(catalog, &transactions, &changes);
    ck_assert_int_eq(kfl__catalog_change_run(catalog, run_nothing, NULL), 17);
    kfl__catalog_counters(catalog, &after, &changes);
    ck_assert_uint_eq(after, transactions);
    ck_assert_uint_eq(file_hash(), hash);
}
END_TEST

START_TEST(a_full_map_is_an_error_and_room_comes_back) /* rule:R28 */
{
    static char properties[60000];
    memset(properties, 'x', sizeof properties - 1);
    char name[16];
    int count = 0;
    int r = 0;
    for (; r == 0 && count < 100; count++) {
        snprintf(name, sizeof name, "t%d", count);
        r = create_topic(name, 1, properties, NULL);
    }
    ck_assert_int_eq(r, KFL_E_NO_SPACE);
    ck_assert_int_gt(count, 10);
    assert_code(create_topic("another", 1, properties, NULL), KFL_E_NO_SPACE);
    uint64_t topic_id;
    assert_ok(create_topic("small", 1, NULL, &topic_id));
    assert_ok(commit_offset("g", topic_id, 0, 1));
    assert_ok(delete_topic("t3"));
    assert_ok(delete_topic("t4"));
    assert_ok(commit_offset("g", topic_id, 0, 2)); /* pages are free from the transaction after */
    assert_ok(commit_offset("g", topic_id, 0, 3));
    assert_ok(create_topic("another", 1, properties, NULL));
    reopen_catalog();
}
END_TEST

static void *create_too_much(void *context)
{
    struct worker *worker = context;
    if (worker->number % 4 != 0)
        return commit_many(context);
    char *properties = calloc(2000000, 1);
    ck_assert_ptr_nonnull(properties);
    memset(properties, 'x', 2000000 - 1);
    sem_post(&about_to_change);
    for (int i = 0; i < 5; i++)
        assert_code(create_topic(worker->group, 1, properties, NULL), KFL_E_NO_SPACE);
    free(properties);
    return NULL;
}

START_TEST(a_change_that_does_not_fit_harms_nobody)
{
    struct worker workers[THREADS];
    run_workers(workers, create_too_much);
    reopen_catalog();
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(committed_offset(workers[i].group, shared_topic, i),
                         i % 4 != 0 ? CHANGES : KFL_E_NOT_FOUND);
}
END_TEST

/* ---- processes ---- */

static void commit_in_turns(struct peer *self, void *context)
{
    uint64_t topic_id = *(const uint64_t *)context;
    assert_ok(open_catalog());
    for (int64_t i = 1; i < 20; i += 2) {
        assert_ok(commit_offset("g", topic_id, 0, i));
        peer_tell(self);
        peer_await(self);
        ck_assert_int_eq(committed_offset("g", topic_id, 0), i + 1);
    }
    close_catalog();
}

START_TEST(what_one_process_commits_the_other_sees)
{
    uint64_t topic_id;
    assert_ok(open_catalog());
    assert_ok(create_topic("t", 1, NULL, &topic_id));
    close_catalog();
    options.check = false;
    struct peer peer;
    peer_start(&peer, commit_in_turns, &topic_id);
    assert_ok(open_catalog());
    for (int64_t i = 1; i < 20; i += 2) {
        peer_await(&peer);
        ck_assert_int_eq(committed_offset("g", topic_id, 0), i);
        assert_ok(commit_offset("g", topic_id, 0, i + 1));
        peer_tell(&peer);
    }
    peer_join(&peer);
}
END_TEST

struct stopped {
    struct peer *self;
    uint64_t topic_id;
    int depth;
};

static int run_put_and_stop(struct kfl__catalog_txn *txn, void *context)
{
    struct stopped *stopped = context;
    struct kfl__offset_row row = {.offset = 666};
    assert_ok(kfl__offsets_put(txn, "g", stopped->topic_id, 0, &row));
    peer_tell(stopped->self);
    peer_await(stopped->self);
    return 0;
}

static void stop_inside_change(struct peer *self, void *context)
{
    struct stopped stopped = {.self = self, .topic_id = *(const uint64_t *)context};
    assert_ok(open_catalog());
    assert_ok(kfl__catalog_change_run(catalog, run_put_and_stop, &stopped));
}

START_TEST(a_process_killed_inside_a_change_leaves_the_others_working)
{
    uint64_t topic_id;
    assert_ok(open_catalog());
    assert_ok(create_topic("t", 1, NULL, &topic_id));
    close_catalog();
    options.check = false;
    for (int i = 0; i < 3; i++) {
        struct peer peer;
        peer_start(&peer, stop_inside_change, &topic_id);
        assert_ok(open_catalog());
        peer_await(&peer);
        ck_assert_int_eq(committed_offset("g", topic_id, 0), i == 0 ? KFL_E_NOT_FOUND : i);
        peer_kill(&peer);
        assert_ok(commit_offset("g", topic_id, 0, i + 1));
        close_catalog();
    }
    options.check = true;
    assert_ok(open_catalog());
    ck_assert_int_eq(committed_offset("g", topic_id, 0), 3);
}
END_TEST

#define READERS 2048 /* one of them is kept by the process that opens next */

static int run_nest(struct kfl__catalog_txn *txn, void *context)
{
    (void)txn;
    struct stopped *stopped = context;
    if (++stopped->depth < READERS - 1)
        return kfl__catalog_look(catalog, run_nest, context);
    peer_tell(stopped->self);
    peer_await(stopped->self);
    return 0;
}

static void take_all_reader_slots(struct peer *self, void *context)
{
    (void)context;
    struct stopped stopped = {.self = self};
    assert_ok(open_catalog());
    peer_await(self);
    assert_ok(kfl__catalog_look(catalog, run_nest, &stopped));
}

/* A look inside a look needs a second slot. */
static int run_inner(struct kfl__catalog_txn *txn, void *context)
{
    (void)txn;
    return (int)committed_offset("g", *(uint64_t *)context, 0);
}

START_TEST(the_slots_of_dead_readers_are_taken_back)
{
    uint64_t topic_id;
    assert_ok(open_catalog());
    assert_ok(create_topic("t", 1, NULL, &topic_id));
    assert_ok(commit_offset("g", topic_id, 0, 5));
    close_catalog();
    options.check = false;
    struct peer peer;
    peer_start(&peer, take_all_reader_slots, NULL);
    assert_ok(open_catalog()); /* else LMDB, alone again, would begin with an empty table */
    peer_tell(&peer);
    peer_await(&peer);
    ck_assert_int_eq(committed_offset("g", topic_id, 0), 5);
    ck_assert_int_eq(kfl__catalog_look(catalog, run_inner, &topic_id), KFL_E_BUSY);
    peer_kill(&peer);
    ck_assert_int_eq(kfl__catalog_look(catalog, run_inner, &topic_id), 5);
    assert_ok(kfl__catalog_clear_dead_readers(catalog));
}
END_TEST

static void grow_beyond(struct peer *self, void *context)
{
    (void)context;
    options.map_size = 16 << 20;
    assert_ok(open_catalog());
    peer_await(self);
    static char properties[1500000];
    memset(properties, 'x', sizeof properties - 1);
    assert_ok(create_topic("large", 1, properties, NULL));
    peer_tell(self);
    peer_await(self);
    assert_ok(create_topic("larger", 1, properties, NULL));
    close_catalog();
}

START_TEST(a_file_that_another_process_has_grown_is_mapped_anew)
{
    uint64_t topic_id;
    assert_ok(open_catalog());
    assert_ok(create_topic("t", 1, NULL, &topic_id));
    assert_ok(commit_offset("g", topic_id, 0, 5));
    close_catalog();
    options.check = false;
    struct peer peer;
    peer_start(&peer, grow_beyond, NULL);
    options.map_size = 1 << 20;
    assert_ok(open_catalog());
    peer_tell(&peer);
    peer_await(&peer);
    ck_assert_int_eq(committed_offset("g", topic_id, 0), 5);
    peer_tell(&peer);
    peer_join(&peer);
    assert_ok(commit_offset("g", topic_id, 0, 6));
    assert_ok(delete_topic("larger"));
}
END_TEST

static void set_up_small_map(void)
{
    set_up_folder();
    options.map_size = 1 << 20;
    assert_ok(open_catalog());
}

/* Changes come together while a sync is under way. */
static void set_up_catalog_on_disk(void)
{
    set_up_folder_at(temp_dir_make_on_disk());
    assert_ok(open_catalog());
}

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("catalog/catalog");
    TCase *opening = tcase_create("open");
    tcase_add_checked_fixture(opening, set_up_folder, tear_down_catalog);
    tcase_add_test(opening, without_create_there_is_none);
    tcase_add_loop_test(opening, a_half_made_file_of_a_killed_creator_is_completed, 0, 6);
    tcase_add_test(opening, a_newer_format_is_refused_and_not_touched);
    tcase_add_test(opening, new_files_have_the_mode_that_was_asked_for);
    tcase_add_test(opening, a_reader_changes_nothing);
    tcase_add_test(opening, a_reader_without_permission_to_write_reads);
    tcase_add_test(opening, a_limited_address_space_gets_a_smaller_map);
    suite_add_tcase(suite, opening);

    TCase *changes = tcase_create("changes");
    tcase_add_checked_fixture(changes, set_up_catalog, tear_down_catalog);
    tcase_set_timeout(changes, 60);
    tcase_add_test(changes, a_new_store_keeps_its_identity);
    tcase_add_test(changes, a_failing_change_harms_nobody);
    tcase_add_test(changes, a_change_that_puts_nothing_writes_nothing);
    suite_add_tcase(suite, changes);

    TCase *sharing = tcase_create("sharing");
    tcase_add_checked_fixture(sharing, set_up_catalog_on_disk, tear_down_catalog);
    tcase_set_timeout(sharing, 60);
    tcase_add_test(sharing, those_who_change_at_the_same_time_share_a_transaction);
    suite_add_tcase(suite, sharing);

    TCase *full = tcase_create("full");
    tcase_add_checked_fixture(full, set_up_small_map, tear_down_catalog);
    tcase_set_timeout(full, 60);
    tcase_add_test(full, a_full_map_is_an_error_and_room_comes_back);
    tcase_add_test(full, a_change_that_does_not_fit_harms_nobody);
    suite_add_tcase(suite, full);

    TCase *processes = tcase_create("processes");
    tcase_add_checked_fixture(processes, set_up_folder, tear_down_catalog);
    tcase_set_timeout(processes, 60);
    tcase_add_test(processes, what_one_process_commits_the_other_sees);
    tcase_add_test(processes, a_process_killed_inside_a_change_leaves_the_others_working);
    tcase_add_test(processes, the_slots_of_dead_readers_are_taken_back);
    tcase_add_test(processes, a_file_that_another_process_has_grown_is_mapped_anew);
    suite_add_tcase(suite, processes);
    return suite;
}
