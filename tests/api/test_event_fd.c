/* SPDX-License-Identifier: MIT */
/* The descriptor of a consumer: readable when a poll would not wait, and not for long after. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <time.h>

#include "child.h"
#include "peer.h"
#include "store_fixture.h"

#define PARTITIONS 4
#define FAR_MS 20000

static kfl_producer *producer;
static kfl_consumer *consumer;

static void event_set_up(void)
{
    temp_dir_make();
    store = open_store(temp_dir_path(), NULL);
    make_topic("t", PARTITIONS, NULL);
    producer = open_producer(NULL);
    consumer = open_consumer(NULL);
}

static void event_tear_down(void)
{
    kfl_consumer_close(consumer);
    kfl_producer_close(producer);
    kfl_store_close(store);
    store = NULL;
    temp_dir_remove();
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool readable(int fd, int timeout_ms)
{
    struct pollfd wish = {.fd = fd, .events = POLLIN};
    int r = poll(&wish, 1, timeout_ms);
    ck_assert_int_ge(r, 0);
    return r == 1;
}

/* Polls until there is nothing; how many records that was. */
static int take_all(kfl_consumer *from)
{
    kfl_records *records;
    int count = 0, r;
    while ((r = OK(kfl_consumer_poll(from, 0, 0, &records))) > 0) {
        count += r;
        kfl_records_release(records);
    }
    return count;
}

static void assign_all(kfl_consumer *to)
{
    kfl_partition_offset places[PARTITIONS];
    for (int32_t i = 0; i < PARTITIONS; i++)
        places[i] = (kfl_partition_offset){.topic = "t", .partition = i, .offset = KFL_OFFSET_END};
    OK(kfl_consumer_assign(to, places, PARTITIONS));
}

/* A descriptor that is not readable now. */
static int quiet_fd(kfl_consumer *of)
{
    int fd = OK(kfl_consumer_event_fd(of));
    ck_assert_int_eq(take_all(of), 0);
    ck_assert(!readable(fd, 0));
    return fd;
}

/* Readable soon after `bring_about`: by it, and not by the look once a second; in one of a few tries. */
static void check_raised_by(kfl_consumer *of, void (*bring_about)(void))
{
    bool soon = false;
    for (int tries = 0; tries < 5 && !soon; tries++) {
        int fd = OK(kfl_consumer_event_fd(of));
        take_all(of);
        int64_t begin = now_ms();
        bring_about();
        ck_assert(readable(fd, FAR_MS));
        soon = now_ms() - begin < 900;
    }
    ck_assert(soon);
}

static void append_one(void)
{
    send_value(producer, "t", 1, "x");
}

START_TEST(it_is_readable_until_a_poll_finds_nothing)
{
    kfl_records *records;
    int fd = OK(kfl_consumer_event_fd(consumer));
    ck_assert_int_eq(OK(kfl_consumer_event_fd(consumer)), fd);
    ck_assert_int_ne(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
    ck_assert(readable(fd, 0));
    assign_all(consumer);
    ck_assert_int_eq(take_all(consumer), 0);
    ck_assert(!readable(fd, 0));
    for (int i = 0; i < 3; i++)
        append_one();
    for (int i = 0; i < 3; i++) {
        ck_assert(readable(fd, FAR_MS));
        ck_assert_int_eq(OK(kfl_consumer_poll(consumer, 0, 1, &records)), 1);
        kfl_records_release(records);
    }
    ck_assert_int_eq(OK(kfl_consumer_poll(consumer, 0, 1, &records)), 0);
    ck_assert(!readable(fd, 0));
    /* A poll that waits, too. */
    append_one();
    ck_assert_int_eq(OK(kfl_consumer_poll(consumer, FAR_MS, 0, &records)), 1);
    kfl_records_release(records);
    ck_assert_int_eq(OK(kfl_consumer_poll(consumer, 1, 0, &records)), 0);
    ck_assert(!readable(fd, 0));
}
END_TEST

START_TEST(an_append_makes_it_readable)
{
    assign_all(consumer);
    check_raised_by(consumer, append_one);
    ck_assert_int_ge(take_all(consumer), 1);
}
END_TEST

START_TEST(each_partition_and_each_consumer_counts)
{
    kfl_consumer *other = open_consumer(NULL);
    assign_all(consumer);
    assign_all(other);
    for (int32_t i = 0; i < 3 * PARTITIONS; i++) {
        int fd = quiet_fd(consumer), other_fd = quiet_fd(other);
        ck_assert_int_ne(fd, other_fd);
        send_value(producer, "t", i % PARTITIONS, "x");
        ck_assert(readable(fd, FAR_MS));
        ck_assert(readable(other_fd, FAR_MS));
        ck_assert_int_eq(take_all(consumer), 1);
        ck_assert_int_eq(take_all(other), 1);
    }
    OK(kfl_consumer_close(other));
}
END_TEST

static void wake_up(void)
{
    OK(kfl_consumer_wakeup(consumer));
}

START_TEST(a_wakeup_makes_it_readable)
{
    kfl_records *records;
    assign_all(consumer);
    int fd = quiet_fd(consumer);
    wake_up();
    ck_assert(readable(fd, FAR_MS));
    FAILS(KFL_E_WOKEN, kfl_consumer_poll(consumer, 0, 0, &records));
    ck_assert_int_eq(OK(kfl_consumer_poll(consumer, 0, 0, &records)), 0);
    ck_assert(!readable(fd, 0));
}
END_TEST

static void seek_back(void)
{
    OK(kfl_consumer_seek(consumer, "t", 1, 0));
}

static void resume_it(void)
{
    OK(kfl_consumer_resume(consumer, "t", 1));
}

static void assign_again(void)
{
    kfl_partition_offset place = {.topic = "t", .partition = 1};
    OK(kfl_consumer_assign(consumer, &place, 1));
}

static void delete_topic(void)
{
    OK(kfl_topic_delete(store, "u"));
}

START_TEST(what_another_thread_changes_makes_it_readable)
{
    kfl_records *records;
    assign_all(consumer);
    append_one();
    ck_assert_int_eq(take_all(consumer), 1);
    int fd = quiet_fd(consumer);
    seek_back();
    ck_assert(readable(fd, FAR_MS));
    OK(kfl_consumer_pause(consumer, "t", 1));
    ck_assert_int_eq(take_all(consumer), 0);
    ck_assert(!readable(fd, 0));
    append_one();
    ck_assert_int_eq(take_all(consumer), 0);
    resume_it();
    ck_assert(readable(fd, FAR_MS));
    ck_assert_int_eq(take_all(consumer), 2);
    fd = quiet_fd(consumer);
    assign_again();
    ck_assert(readable(fd, FAR_MS));
    ck_assert_int_eq(take_all(consumer), 2);

    make_topic("u", 1, NULL);
    assign_at(consumer, "u", 0, 0);
    fd = quiet_fd(consumer);
    delete_topic();
    ck_assert(readable(fd, FAR_MS));
    FAILS(KFL_E_UNKNOWN_TOPIC_OR_PARTITION, kfl_consumer_poll(consumer, 0, 0, &records));
}
END_TEST

/* What is appended is not there for it yet, and another consumer of the process is told of it. */
START_TEST(with_read_durable_it_waits_for_the_sync)
{
    kfl_consumer *durable = open_consumer(WITH("read.durable", "true"));
    int slow = 0;
    assign_all(durable);
    assign_all(consumer);
    for (int i = 0; i < 3; i++) {
        int fd = quiet_fd(durable), other_fd = quiet_fd(consumer);
        append_one();
        ck_assert(readable(other_fd, FAR_MS));
        ck_assert_int_eq(take_all(consumer), 1);
        int64_t begin = now_ms();
        OK(kfl_store_sync(store, FAR_MS));
        ck_assert(readable(fd, FAR_MS));
        slow += now_ms() - begin > 900;
        ck_assert_int_eq(take_all(durable), 1);
    }
    ck_assert_int_lt(slow, 3);
    OK(kfl_consumer_close(durable));
}
END_TEST

START_TEST(the_close_of_the_store_makes_it_readable)
{
    kfl_records *records;
    assign_all(consumer);
    int fd = quiet_fd(consumer);
    OK(kfl_store_close(store));
    store = NULL;
    ck_assert(readable(fd, 0));
    FAILS(KFL_E_CLOSED, kfl_consumer_poll(consumer, 0, 0, &records));
    FAILS(KFL_E_CLOSED, kfl_consumer_event_fd(consumer));
    ck_assert(readable(fd, 0));
}
END_TEST

START_TEST(it_goes_with_its_consumer_and_another_one_stays)
{
    kfl_consumer *other = open_consumer(NULL);
    assign_all(consumer);
    assign_all(other);
    int fd = quiet_fd(consumer), other_fd = quiet_fd(other);
    OK(kfl_consumer_close(other));
    ck_assert_int_eq(fcntl(other_fd, F_GETFD), -1);
    ck_assert_int_eq(errno, EBADF);
    append_one();
    ck_assert(readable(fd, FAR_MS));
    ck_assert_int_eq(take_all(consumer), 1);
    FAILS(KFL_E_INVALID, kfl_consumer_event_fd(NULL));
}
END_TEST

static int use_in_child(void *context)
{
    int fd = *(int *)context;
    kfl_records *records;
    if (kfl_consumer_event_fd(consumer) != KFL_E_FORKED)
        return 1;
    if (kfl_consumer_poll(consumer, 0, 0, &records) != KFL_E_FORKED)
        return 2;
    if (kfl_consumer_wakeup(consumer) != KFL_E_FORKED)
        return 3;
    if (kfl_consumer_close(consumer) != KFL_E_FORKED)
        return 4;
    return fcntl(fd, F_GETFD) >= 0 ? 0 : 5;
}

/* rule:R19 */
START_TEST(a_child_of_fork_does_not_touch_it)
{
    assign_all(consumer);
    int fd = quiet_fd(consumer);
    ck_assert_int_eq(child_run(use_in_child, &fd), 0);
    ck_assert(!readable(fd, 0));
    append_one();
    ck_assert(readable(fd, FAR_MS));
    ck_assert_int_eq(child_run(use_in_child, &fd), 0);
    ck_assert(readable(fd, 0));
    ck_assert_int_eq(take_all(consumer), 1);
}
END_TEST

/* Polls that hand out no record, until one has nothing to tell. */
static void follow(kfl_consumer *member)
{
    kfl_records *records;
    kfl_event *event;
    int r;
    while ((r = kfl_consumer_poll(member, 0, 0, &records)) != 0) {
        ck_assert_int_eq(r, KFL_E_EVENT);
        while (OK(kfl_consumer_next_event(member, &event)) > 0)
            kfl_event_release(event);
    }
}

/* To be told of a rebalance, and to be taken for alive, a member polls without records too. */
START_TEST(a_member_hears_of_its_group_and_is_asked_to_poll)
{
    kfl_consumer *member = open_consumer(WITH("group.id", "g")), *another;
    int fd = OK(kfl_consumer_event_fd(member));
    OK(kfl_consumer_subscribe(member, WITH("t"), 1));
    follow(member);
    bool soon = false;
    for (int tries = 0; tries < 5 && !soon; tries++) {
        follow(member);
        int64_t begin = now_ms();
        another = open_consumer(WITH("group.id", "g"));
        OK(kfl_consumer_subscribe(another, WITH("t"), 1));
        follow(another);
        ck_assert(readable(fd, FAR_MS));
        soon = now_ms() - begin < 900;
        follow(member);
        follow(another);
        OK(kfl_consumer_close(another));
        follow(member);
    }
    ck_assert(soon);
    /* Nothing comes, and it is asked all the same. */
    for (int i = 0; i < 2; i++) {
        ck_assert(readable(fd, FAR_MS));
        follow(member);
    }
    OK(kfl_consumer_close(member));
}
END_TEST

/* ---- under load ---- */

#define MANY 3000

static void append_many(kfl_producer *with, uint64_t seed)
{
    for (int i = 0; i < MANY; i++) {
        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
        send_value(with, "t", (int32_t)(seed >> 33) % PARTITIONS, "x");
        /* Bursts, and gaps in which the other side arms and sleeps. */
        if ((seed >> 40) % 8 == 0)
            nanosleep(&(struct timespec){.tv_nsec = (long)((seed >> 43) % 200000)}, NULL);
    }
}

/* As an event loop does: all are read, and no wait is ended by the look once a second. */
static void read_many_by_epoll(int64_t count)
{
    int fd = OK(kfl_consumer_event_fd(consumer)), loop = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN};
    int slow = 0;
    ck_assert_int_ge(loop, 0);
    ck_assert_int_eq(epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event), 0);
    while (count > 0) {
        int64_t begin = now_ms();
        ck_assert_int_eq(epoll_wait(loop, &event, 1, FAR_MS), 1);
        slow += now_ms() - begin > 900;
        count -= take_all(consumer);
    }
    ck_assert_int_eq(count, 0);
    ck_assert_int_lt(slow, 3);
    close(loop);
}

static void *append_in_thread(void *context)
{
    append_many(producer, *(uint64_t *)context);
    return NULL;
}

/* rule:R5 */
START_TEST(none_is_lost_between_arming_and_an_append)
{
    uint64_t seed = (uint64_t)now_ms();
    pthread_t thread;
    printf("# seed %" PRIu64 "\n", seed);
    assign_all(consumer);
    pthread_create(&thread, NULL, append_in_thread, &seed);
    read_many_by_epoll(MANY);
    pthread_join(thread, NULL);
}
END_TEST

static void append_in_process(struct peer *self, void *context)
{
    static kfl_store *volatile inherited; /* of the parent: a child that forgets it altogether would lose it */
    inherited = store;
    store = open_store(temp_dir_path(), IN_A_CHILD);
    kfl_producer *own = open_producer(NULL);
    peer_tell(self);
    peer_await(self);
    append_many(own, *(uint64_t *)context);
    OK(kfl_producer_close(own));
    OK(kfl_store_close(store));
    store = inherited;
}

/* rule:R5 */
START_TEST(another_process_makes_it_readable)
{
    uint64_t seed = (uint64_t)now_ms();
    struct peer peer;
    printf("# seed %" PRIu64 "\n", seed);
    peer_start(&peer, append_in_process, &seed);
    peer_await(&peer);
    assign_all(consumer);
    peer_tell(&peer);
    read_many_by_epoll(MANY);
    peer_join(&peer);
}
END_TEST

/* Asking, reading, changing and closing from several threads at once. */
static void *ask_and_close(void *context)
{
    _Atomic int *stop = context;
    while (atomic_load(stop) == 0) {
        kfl_consumer *own = NULL;
        OK(kfl_consumer_open(store, NULL, &own));
        assign_all(own);
        int fd = OK(kfl_consumer_event_fd(own));
        take_all(own);
        (void)readable(fd, 1);
        OK(kfl_consumer_wakeup(own));
        OK(kfl_consumer_close(own));
    }
    return NULL;
}

START_TEST(consumers_come_and_go_under_appends)
{
    _Atomic int stop = 0;
    uint64_t seed = (uint64_t)now_ms();
    pthread_t appends, askers[2];
    printf("# seed %" PRIu64 "\n", seed);
    assign_all(consumer);
    pthread_create(&appends, NULL, append_in_thread, &seed);
    for (int i = 0; i < 2; i++)
        pthread_create(&askers[i], NULL, ask_and_close, &stop);
    read_many_by_epoll(MANY);
    pthread_join(appends, NULL);
    atomic_store(&stop, 1);
    for (int i = 0; i < 2; i++)
        pthread_join(askers[i], NULL);
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("api/event_fd");
    TCase *tests = tcase_create("event_fd");
    tcase_add_checked_fixture(tests, event_set_up, event_tear_down);
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, it_is_readable_until_a_poll_finds_nothing);
    tcase_add_test(tests, an_append_makes_it_readable);
    tcase_add_test(tests, each_partition_and_each_consumer_counts);
    tcase_add_test(tests, a_wakeup_makes_it_readable);
    tcase_add_test(tests, what_another_thread_changes_makes_it_readable);
    tcase_add_test(tests, with_read_durable_it_waits_for_the_sync);
    tcase_add_test(tests, the_close_of_the_store_makes_it_readable);
    tcase_add_test(tests, it_goes_with_its_consumer_and_another_one_stays);
    tcase_add_test(tests, a_child_of_fork_does_not_touch_it);
    tcase_add_test(tests, a_member_hears_of_its_group_and_is_asked_to_poll);
    tcase_add_test(tests, none_is_lost_between_arming_and_an_append);
    tcase_add_test(tests, another_process_makes_it_readable);
    tcase_add_test(tests, consumers_come_and_go_under_appends);
    suite_add_tcase(suite, tests);
    return suite;
}
