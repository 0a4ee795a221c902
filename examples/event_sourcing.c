/* SPDX-License-Identifier: MIT */
/*
 * A bank account that is nothing but its events, used by two processes at the same time.
 *
 *     event_sourcing DIR
 *
 * One teller deposits, the other withdraws, and the balance must stay within its limits. Neither
 * holds a lock: a teller rebuilds the account from its events, decides, and appends its event on
 * condition that the log still ends where it had read to. KFL_E_CONFLICT means that the decision
 * was made from an old state: read what is new, decide again.
 *
 * The account also counts what each teller has done, so the log tells a teller how far it came, and
 * a run that was killed goes on where it was. Now and then the account is written to a second
 * topic. Such a snapshot only saves reading: it may be missing or old, for the events behind it
 * make up for that.
 */
#include <kafkalite.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* One account is one partition, so that the end of the partition is the version of the account. */
#define EVENTS "account-42"
#define SNAPSHOTS "account-42.snapshots"
#define SNAPSHOT_INTERVAL 100
#define BALANCE_MAX 100

enum { TELLER_COUNT = 2 };
static const struct {
    int64_t amount;
    int64_t count;
} orders[TELLER_COUNT] = {{.amount = 10, .count = 300}, {.amount = -15, .count = 200}};

struct account {
    int64_t balance;
    int64_t lowest_balance;
    int64_t highest_balance;
    int64_t done_counts[TELLER_COUNT];
    int64_t end_offset; /* the events below are in it */
};

struct bank {
    kfl_store *store;
    kfl_producer *producer;
    kfl_consumer *consumer; /* of the events */
    struct account account;
};

static int check(int r)
{
    if (r < 0) {
        fprintf(stderr, "event_sourcing: %s: %s\n", kfl_error_name(r), kfl_last_error());
        exit(EXIT_FAILURE);
    }
    return r;
}

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "event_sourcing: %s\n", what);
    exit(EXIT_FAILURE);
}

/* The bytes of a record do not end with NUL. */
static const char *value_text(const kfl_record *record, char text[128])
{
    if (record->value_size >= 128)
        fail("a value that is too long");
    if (record->value_size > 0)
        memcpy(text, record->value, record->value_size);
    text[record->value_size] = '\0';
    return text;
}

static void apply_event(struct account *account, int64_t offset, const char *event)
{
    int teller;
    int64_t amount;
    if (sscanf(event, "teller %d moved %" SCNd64, &teller, &amount) != 2 || teller < 0 ||
        teller >= TELLER_COUNT)
        fail("not an event");
    account->balance += amount;
    if (account->balance < account->lowest_balance)
        account->lowest_balance = account->balance;
    if (account->balance > account->highest_balance)
        account->highest_balance = account->balance;
    account->done_counts[teller]++;
    account->end_offset = offset + 1;
}

/* Bring the account up to date, waiting for news no longer than timeout_ms. */
static void catch_up(struct bank *bank, int32_t timeout_ms)
{
    struct account *account = &bank->account;
    /* Taken first: when nothing more comes, all events below it have been read. */
    int64_t end_offset;
    check(kfl_topic_end_offset(bank->store, EVENTS, 0, &end_offset));

    kfl_records *records;
    int count;
    while ((count = check(kfl_consumer_poll(bank->consumer, timeout_ms, 0, &records))) > 0) {
        for (int32_t i = 0; i < count; i++) {
            const kfl_record *record = kfl_records_get(records, i);
            char text[128];
            /* What this process has appended itself is in the account already. */
            if (record->offset >= account->end_offset)
                apply_event(account, record->offset, value_text(record, text));
        }
        kfl_records_release(records);
        timeout_ms = 0;
    }
    if (account->end_offset < end_offset)
        account->end_offset = end_offset;
}

static void write_snapshot(struct bank *bank)
{
    const struct account *account = &bank->account;
    /* A power cut must not take events from below a snapshot and leave the snapshot. */
    check(kfl_topic_wait_durable(bank->store, EVENTS, 0, account->end_offset, -1));
    char text[128];
    int size = snprintf(text, sizeof text,
                        "%" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64,
                        account->end_offset, account->balance, account->lowest_balance,
                        account->highest_balance, account->done_counts[0], account->done_counts[1]);
    check(kfl_producer_send(bank->producer, SNAPSHOTS, 0, NULL, 0, text, (size_t)size, NULL, 0,
                            KFL_TIMESTAMP_NOW, NULL));
}

/* The newest snapshot, or an empty account. */
static struct account read_snapshot(kfl_store *store)
{
    struct account account = {0};
    int64_t end_offset;
    check(kfl_topic_end_offset(store, SNAPSHOTS, 0, &end_offset));
    if (end_offset == 0)
        return account;

    kfl_consumer *consumer;
    check(kfl_consumer_open(store, NULL, &consumer));
    const kfl_partition_offset last = {.topic = SNAPSHOTS, .offset = end_offset - 1};
    check(kfl_consumer_assign(consumer, &last, 1));
    kfl_records *records;
    if (check(kfl_consumer_poll(consumer, 0, 1, &records)) == 1) {
        char text[128];
        if (sscanf(value_text(kfl_records_get(records, 0), text),
                   "%" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64,
                   &account.end_offset, &account.balance, &account.lowest_balance,
                   &account.highest_balance, &account.done_counts[0], &account.done_counts[1]) != 6)
            fail("not a snapshot");
        kfl_records_release(records);
    }
    check(kfl_consumer_close(consumer));
    return account;
}

static void open_bank(struct bank *bank, const char *path)
{
    check(kfl_store_open(path, NULL, &bank->store));
    const char *topics[] = {EVENTS, SNAPSHOTS};
    for (int i = 0; i < 2; i++) {
        int r = kfl_topic_create(bank->store, topics[i], 1, NULL);
        if (r != KFL_E_TOPIC_ALREADY_EXISTS)
            check(r);
    }
    check(kfl_producer_open(bank->store, NULL, &bank->producer));
    check(kfl_consumer_open(bank->store, NULL, &bank->consumer));
}

/* Start from a state that the events below its end have led to. */
static void load_account(struct bank *bank, struct account from)
{
    bank->account = from;
    const kfl_partition_offset start = {.topic = EVENTS, .offset = from.end_offset};
    check(kfl_consumer_assign(bank->consumer, &start, 1));
    catch_up(bank, 0);
}

static void close_bank(struct bank *bank)
{
    check(kfl_consumer_close(bank->consumer));
    check(kfl_producer_close(bank->producer));
    check(kfl_store_close(bank->store));
}

/* What one process does. */
static void run_teller(const char *path, int teller)
{
    struct bank bank;
    open_bank(&bank, path);
    load_account(&bank, read_snapshot(bank.store));

    int64_t conflict_count = 0;
    while (bank.account.done_counts[teller] < orders[teller].count) {
        int64_t balance = bank.account.balance + orders[teller].amount;
        if (balance < 0 || balance > BALANCE_MAX) {
            catch_up(&bank, 1000); /* until the other one has done something */
            continue;
        }
        char event[64];
        int size = snprintf(event, sizeof event, "teller %d moved %" PRId64, teller,
                            orders[teller].amount);
        int64_t offset;
        int r = kfl_producer_send_if(bank.producer, EVENTS, 0, NULL, 0, event, (size_t)size, NULL,
                                     0, KFL_TIMESTAMP_NOW, bank.account.end_offset, &offset);
        if (r == KFL_E_CONFLICT) {
            conflict_count++;
            catch_up(&bank, 0);
            continue;
        }
        check(r);
        apply_event(&bank.account, offset, event);
        if (bank.account.end_offset % SNAPSHOT_INTERVAL == 0)
            write_snapshot(&bank);
    }
    close_bank(&bank);
    fprintf(stderr, "teller %d decided %" PRId64 " times anew\n", teller, conflict_count);
}

/* Once from the first event, once from the newest snapshot: the same account must come out. */
static void check_account(const char *path)
{
    struct bank bank;
    open_bank(&bank, path);
    load_account(&bank, (struct account){0});
    struct account whole = bank.account;
    load_account(&bank, read_snapshot(bank.store));
    if (memcmp(&whole, &bank.account, sizeof whole) != 0)
        fail("the snapshot and the events behind it give another account");
    if (whole.lowest_balance < 0 || whole.highest_balance > BALANCE_MAX)
        fail("the balance has left its limits");
    close_bank(&bank);

    for (int i = 0; i < TELLER_COUNT; i++)
        printf("teller %d: %" PRId64 " times %+" PRId64 "\n", i, whole.done_counts[i],
               orders[i].amount);
    printf("balance %" PRId64 ", and never below 0 or above %d\n", whole.balance, BALANCE_MAX);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: event_sourcing DIR\n");
        return 2;
    }

    /* The processes part before any of them opens the store: a handle does not survive fork(). */
    for (int i = 0; i < TELLER_COUNT; i++) {
        pid_t child = fork();
        if (child < 0)
            fail("fork failed");
        if (child == 0) {
            run_teller(argv[1], i);
            return EXIT_SUCCESS;
        }
    }
    for (int i = 0; i < TELLER_COUNT; i++) {
        int status;
        if (wait(&status) < 0 || status != 0)
            fail("a teller failed");
    }
    check_account(argv[1]);
    return EXIT_SUCCESS;
}

/* prints:
teller 0: 300 times +10
teller 1: 200 times -15
balance 0, and never below 0 or above 100
*/
