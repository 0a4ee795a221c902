/* SPDX-License-Identifier: MIT */
/*
 * libkafkalite: Kafka's log, inside your process.
 *
 * One directory is a store. It holds topics, a topic has partitions, and a partition is a log of
 * records, numbered from 0 by their offset. Any number of threads and processes append to it, read
 * it and commit how far they came, at the same time, without a server. The words and the meanings
 * are Apache Kafka's; where ours differ, docs/kafka-differences.md says how and why.
 *
 *     kfl_store *store;
 *     kfl_producer *producer;
 *     int64_t offset;
 *     kfl_store_open("./data", NULL, &store);
 *     kfl_topic_create(store, "orders", 3, NULL);
 *     kfl_producer_open(store, NULL, &producer);
 *     kfl_producer_send(producer, "orders", KFL_PARTITION_ANY, "o-1", 3, "hello", 5, NULL, 0,
 *                       KFL_TIMESTAMP_NOW, &offset);
 *     kfl_producer_close(producer);
 *     kfl_store_close(store);
 *
 * CAVEATS
 *
 *  - A record is safe from the death of its process once a call has told its offset (acks=1, the
 *    default), and from a power cut once acks=all, kfl_producer_flush() of such a producer,
 *    kfl_topic_wait_durable() or a commit says so. docs/guarantees.md has the whole table.
 *  - Records that are not released keep their files on disk and in the address space.
 *  - After fork() the child opens the store anew: every call on an inherited handle answers
 *    KFL_E_FORKED.
 *  - Local file systems only. Linux 5.14 or newer, 64 bits, little-endian. All processes of a store
 *    share one PID namespace and one C library.
 *  - Copy a live directory with a tool that knows it, never with cp.
 *  - The library maps files: a wild pointer of the host program can damage the newest segment, as it
 *    can damage any memory. Checksums will tell.
 *  - A device read error on a page that was read before and was evicted since raises SIGBUS.
 *  - File size limits (RLIMIT_FSIZE) raise SIGXFSZ unless the host program ignores that signal.
 *
 * HOW IT SPEAKS
 *
 *  - A function that can fail returns int: 0 or more on success, a negative KFL_E_… on failure.
 *    Output parameters come last, are called out_…, and are written on success only.
 *  - kfl_last_error() tells the calling thread what its last failed call found out.
 *  - A returned pointer is *borrowed*: valid as stated, not to be freed. A pointer through an out_
 *    parameter is *owned*: give it back with the function named there. Strings and bytes passed in
 *    are *copied*: they may go when the call returns.
 *  - Offsets, timestamps (milliseconds since 1970 UTC) and byte limits are int64_t; partitions,
 *    counts and time-outs (milliseconds; 0 looks once, -1 waits for ever) are int32_t; sizes of
 *    memory are size_t. Booleans are int.
 *  - Structs are read-only, allocated by the library and may grow at their end, but for those that
 *    say that the caller fills them.
 *
 * THREADS
 *
 *  Every handle may be used from any thread. Calls on one consumer take turns, but wakeup,
 *  statistics and commit never wait for a poll. close is the last call on a handle, as free() is.
 *  Nothing here is async-signal-safe. A program that cancels threads must not do so inside a call.
 */
#ifndef KAFKALITE_H
#define KAFKALITE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define KFL_API __attribute__((visibility("default")))
#else
#define KFL_API
#endif

/* ----------------------------------------------------------------------------------------------
 * Version
 * ---------------------------------------------------------------------------------------------- */

#define KFL_VERSION_MAJOR 0
#define KFL_VERSION_MINOR 1
#define KFL_VERSION_PATCH 0
#define KFL_VERSION_HEX ((KFL_VERSION_MAJOR << 16) | (KFL_VERSION_MINOR << 8) | KFL_VERSION_PATCH)
#define KFL_VERSION_STRING "0.1.0"

/* The library at run time: KFL_VERSION_HEX and KFL_VERSION_STRING of its build. */
KFL_API int kfl_version(void);
KFL_API const char *kfl_version_string(void);
/* One line for bug reports: compiler, codecs, assertions, hash. Borrowed, for ever. */
KFL_API const char *kfl_build_info(void);
/* The number of the on-disk format that this library writes. */
KFL_API int kfl_format_version(void);

/* ----------------------------------------------------------------------------------------------
 * Errors
 *
 * Where Kafka has an error, the code is its number negated; ours start at -1000. A code never
 * changes its meaning.
 * ---------------------------------------------------------------------------------------------- */

/* clang-format off */
#define KFL_ERROR_MAP(X) \
    X(-1,    OFFSET_OUT_OF_RANGE,        "the offset is below the start or above the end of the partition") \
    X(-2,    CORRUPT,                    "damaged bytes: a checksum, size or order that cannot be") \
    X(-3,    UNKNOWN_TOPIC_OR_PARTITION, "no such topic or partition") \
    X(-10,   MESSAGE_TOO_LARGE,          "the record is larger than max.message.bytes") \
    X(-12,   OFFSET_METADATA_TOO_LARGE,  "the metadata of a commit is larger than 4096 bytes") \
    X(-17,   INVALID_TOPIC,              "not a topic name") \
    X(-22,   ILLEGAL_GENERATION,         "the group has moved on to another generation") \
    X(-23,   INCONSISTENT_GROUP_PROTOCOL, "no assignor that all members of the group list") \
    X(-24,   INVALID_GROUP_ID,           "not a group name") \
    X(-25,   UNKNOWN_MEMBER_ID,          "not a member of the group") \
    X(-27,   REBALANCE_IN_PROGRESS,      "the group is rebalancing") \
    X(-32,   INVALID_TIMESTAMP,          "the timestamp is outside what the topic accepts") \
    X(-36,   TOPIC_ALREADY_EXISTS,       "a topic of this name exists") \
    X(-37,   INVALID_PARTITIONS,         "not a possible number of partitions") \
    X(-40,   INVALID_CONFIG,             "properties that contradict each other") \
    X(-44,   POLICY_VIOLATION,           "the topic's cleanup.policy does not allow it") \
    X(-68,   NON_EMPTY_GROUP,            "the group has members") \
    X(-69,   GROUP_ID_NOT_FOUND,         "no such group") \
    X(-82,   FENCED_INSTANCE_ID,         "another consumer has joined with this group.instance.id") \
    X(-86,   GROUP_SUBSCRIBED_TO_TOPIC,  "a member of the group is subscribed to the topic") \
    X(-87,   INVALID_RECORD,             "the topic does not accept such a record") \
    X(-1000, INVALID,                    "an argument that cannot be") \
    X(-1001, NOT_FOUND,                  "not there") \
    X(-1002, EXISTS,                     "there already") \
    X(-1003, BUSY,                       "held by somebody else for too long") \
    X(-1004, NOMEM,                      "out of memory") \
    X(-1005, IO,                         "the system reported an error on a file") \
    X(-1006, NO_SPACE,                   "the disk or a quota is full") \
    X(-1007, VERSION,                    "written by a newer, incompatible version") \
    X(-1008, CONFLICT,                   "the log does not end where the caller expected") \
    X(-1009, OPTIONS_DIFFER,             "open in this process already, with other properties") \
    X(-1010, READ_ONLY,                  "not writable: opened read-only, or not permitted") \
    X(-1011, TIMEOUT,                    "time ran out") \
    X(-1012, ABORTED,                    "given up; nothing of it happened") \
    X(-1013, EVENT,                      "something happened first: ask for the next event") \
    X(-1014, WOKEN,                      "woken by kfl_consumer_wakeup()") \
    X(-1015, INTR,                       "interrupted by a signal") \
    X(-1016, CLOSED,                     "the store is closed or closing") \
    X(-1017, FORKED,                     "the handle is from before fork(): open the store anew in the child") \
    X(-1018, FAILED,                     "a sync failed earlier: the partition cannot promise durability any more") \
    X(-1019, UNSUPPORTED,                "not possible on this system or with this build") \
    X(-1020, UNKNOWN_PROPERTY,           "no property of this name") \
    X(-1021, BAD_VALUE,                  "not a value of this property") \
    X(-1022, BUG,                        "the library broke a rule of its own: please report it")

enum kfl_error {
    KFL_OK = 0,
#define KFL__CODE(code, name, text) KFL_E_##name = code,
    KFL_ERROR_MAP(KFL__CODE)
#undef KFL__CODE
    KFL__ERROR_LAST = -2147483647
};
/* clang-format on */

/* "KFL_E_NO_SPACE" and "the disk or a quota is full". Borrowed, for ever; never NULL. */
KFL_API const char *kfl_error_name(int code);
KFL_API const char *kfl_error_text(int code);

/*
 * What the calling thread's last failed call found out: a sentence without a full stop that says
 * what, where and the remedy. Borrowed until this thread's next failing call; "" when nothing has
 * failed.
 */
KFL_API const char *kfl_last_error(void);
/*
 * Its parts. "", -1 and 0 where the failure has none. For KFL_E_CONFLICT the offset is the actual
 * end.
 */
KFL_API int kfl_last_error_code(void);
KFL_API const char *kfl_last_error_path(void);
KFL_API const char *kfl_last_error_topic(void);
KFL_API int32_t kfl_last_error_partition(void);
KFL_API int64_t kfl_last_error_offset(void);
KFL_API int kfl_last_error_errno(void);

/* ----------------------------------------------------------------------------------------------
 * Signals
 * ---------------------------------------------------------------------------------------------- */

/*
 * How long a call of this thread waits for others before it answers KFL_E_INTR, in milliseconds: for locks of
 * other processes, which may be stopped while they hold them, and for other threads that wait for such ones.
 * -1, which is what threads begin with: as long as it takes, or as the call's own time-outs say. For programs
 * that have to look at their signals now and then: make the call again, and it goes on waiting, with its
 * time-outs counted from the first time.
 *
 * A call that answers KFL_E_INTR has changed nothing, but for a send of acks=all (or to a topic with
 * flush.messages): when kfl_last_error_offset() is not -1, the records are in the log from that offset on, and
 * kfl_topic_wait_durable() waits for the rest. The rows of kfl_producer_send_packed() tell each.
 * What may take long by itself, such as kfl_store_verify() or compaction, begins anew. Opening and closing
 * never answer it: they wait.
 *
 * KFL_E_INVALID: below -1.
 */
KFL_API int kfl_thread_patience(int32_t patience_ms);

/* ----------------------------------------------------------------------------------------------
 * Properties
 *
 * Everything that can be set is a property with Kafka's name and a string value;
 * docs/configuration.md lists them. A property belongs to one or more of store, topic, producer and
 * consumer; what it is handed to refuses those of others. The NULL config means all defaults.
 *
 * A config is used by one thread at a time. Values are copied into it, and what it is handed to
 * copies them again: it may be changed or destroyed as soon as that call has returned.
 * ---------------------------------------------------------------------------------------------- */

typedef struct kfl_config kfl_config;

KFL_API int kfl_config_create(kfl_config **out_config); /* owned: kfl_config_destroy() */
KFL_API void kfl_config_destroy(kfl_config *config);    /* takes NULL */
/*
 * KFL_E_UNKNOWN_PROPERTY (with a suggestion) or KFL_E_BAD_VALUE (with what it accepts). value NULL
 * puts the default back.
 */
KFL_API int kfl_config_set(kfl_config *config, const char *name, const char *value);
/* The same for numbers; also 0 and 1 for a boolean, and a mode such as 0640. */
KFL_API int kfl_config_set_int64(kfl_config *config, const char *name, int64_t value);
/*
 * The value in force, default or set. Borrowed until the property is set or the config destroyed;
 * NULL: no such property.
 */
KFL_API const char *kfl_config_get(const kfl_config *config, const char *name);
/* 1 when it was set to something, 0 when the default stands or there is no such property. */
KFL_API int kfl_config_is_set(const kfl_config *config, const char *name);

/*
 * The table itself: names by index, NULL behind the last; facts by name, NULL when there is none
 * such.
 */
KFL_API const char *kfl_property_name(int32_t index);
KFL_API const char *kfl_property_scope(const char *name); /* e.g. "topic" or "store,producer" */
/* "boolean", "int", "long", "octal", "choice", "list", "string" */
KFL_API const char *kfl_property_type(const char *name);
KFL_API const char *kfl_property_default(const char *name);
KFL_API const char *kfl_property_accepts(const char *name); /* e.g. "14 .. 9223372036854775807" */
KFL_API const char *kfl_property_text(const char *name);

/* ----------------------------------------------------------------------------------------------
 * Store
 * ---------------------------------------------------------------------------------------------- */

typedef struct kfl_store kfl_store;

/*
 * Open the store in a directory, and create it when there is none (unless create=false or
 * read.only=true).
 *
 * Takes a few milliseconds whatever the size, also after a crash. The same directory opened again
 * in this process shares what the first open holds.
 *
 *   path       of the directory; its parent must exist. ":memory:" is a private store that vanishes
 *              at close
 *   config     store properties, or NULL
 *   out_store  owned: kfl_store_close()
 *
 * Returns   0, or
 *           KFL_E_NOT_FOUND       no such directory, or no store in it, and none may be created
 *           KFL_E_VERSION         written by a newer version; nothing was touched
 *           KFL_E_OPTIONS_DIFFER  open in this process with other properties
 *           KFL_E_CORRUPT         the catalog or the state file cannot be used; the text names the
 *                                 remedy
 *           KFL_E_READ_ONLY       no permission to write: try read.only=true
 *           KFL_E_UNSUPPORTED     a network file system, another PID namespace, too old a kernel
 *           KFL_E_NO_SPACE        no room for the state file or the catalog; read.only=true needs none
 *           KFL_E_IO, KFL_E_NOMEM, KFL_E_INVALID
 */
KFL_API int kfl_store_open(const char *path, const kfl_config *config, kfl_store **out_store);

/*
 * Close this handle. Wakes everybody who waits in a call on it (KFL_E_CLOSED) and waits for them,
 * at most 10 seconds. Producers and consumers of it that are still open answer KFL_E_CLOSED from
 * then on, must still be closed, and their records released. The last handle of the last process
 * syncs what is not yet durable; the first error of that is the answer, but for a lack of room to
 * bring down what others appended and were killed behind (KFL_E_NO_SPACE): whoever appends there next
 * is told. Takes NULL.
 */
KFL_API int kfl_store_close(kfl_store *store);

/* The directory as it was given to the open. Borrowed until the close. */
KFL_API const char *kfl_store_path(const kfl_store *store);

/*
 * Stop the wall clock of this process's store at wall_ms, for tests of what depends on time; -1
 * lets it run again. Steady time, which time-outs use, is not touched.
 */
KFL_API int kfl_store_set_clock(kfl_store *store, int64_t wall_ms);

/*
 * Make everything durable that was appended to any topic before the call. KFL_E_TIMEOUT,
 * KFL_E_FAILED.
 */
KFL_API int kfl_store_sync(kfl_store *store, int32_t timeout_ms);

/* What maintenance has done. Filled by the call; the caller's memory. */
typedef struct kfl_progress {
    /* of the round, which may take several calls */
    int64_t deleted_segments; /* by retention */
    int64_t deleted_bytes;    /* in them */
    int64_t compacted_segments; /* replaced by fewer or smaller ones */
    int64_t written_bytes;
    int64_t freed_bytes;
    int64_t kept_records; /* by compaction; tombstones are counted among them, and apart */
    int64_t removed_records;
    int64_t kept_tombstones;
    int64_t removed_tombstones;
    /* of the partition at hand */
    int64_t read_bytes;
    int64_t total_bytes; /* to be read: most of the input twice */
    int32_t partition;   /* -1: none */
    int32_t partitions_left;
    int64_t reserved[4];
} kfl_progress;

/*
 * Do what the background would do now: sync what is older than flush.ms, prepare segments, note
 * durable places in the catalog, append lingering batches whose time has come; then delete what
 * retention lets go and compact what is due, of every topic. A store opened with background.threads=0 leaves all of it to
 * this call. In the background one process of all that have the store open deletes and compacts;
 * this call does it whoever that is.
 *
 *   budget_ms     stop after about this long; -1: when all is done
 *   out_progress  what was done; NULL: not wanted
 *
 * Returns 1 while there is more to do after budget_ms (call again; to stop calling loses nothing), 0,
 * or the first error that a partition met: the others were maintained all the same.
 */
KFL_API int kfl_store_maintain(kfl_store *store, int32_t budget_ms, kfl_progress *out_progress);

/* ----------------------------------------------------------------------------------------------
 * Topics
 *
 * A name is 1 to 249 characters of a-z A-Z 0-9 . _ - and neither "." nor ".."; names that differ
 * only in . and _ collide. Everything structural is durable when the call returns.
 * ---------------------------------------------------------------------------------------------- */

#define KFL_PARTITIONS_MAX 100000

/*
 * KFL_E_TOPIC_ALREADY_EXISTS, KFL_E_INVALID_TOPIC, KFL_E_INVALID_PARTITIONS, KFL_E_INVALID_CONFIG,
 * KFL_E_READ_ONLY, KFL_E_NO_SPACE
 */
KFL_API int kfl_topic_create(kfl_store *store, const char *name, int32_t partition_count,
                             const kfl_config *config);
/*
 * With its records and every group's offsets for it. Records already polled stay readable until
 * released.
 */
KFL_API int kfl_topic_delete(kfl_store *store, const char *name);
/*
 * Grow to `partition_count`, which must be more than there are. Existing records stay where they
 * are.
 */
KFL_API int kfl_topic_add_partitions(kfl_store *store, const char *name, int32_t partition_count);
/*
 * Sets the properties that are set in `config`; the others stay. A property set to NULL before goes
 * back to its default.
 */
KFL_API int kfl_topic_alter(kfl_store *store, const char *name, const kfl_config *config);
/* Like kfl_topic_alter() for one property; value NULL puts the default back. */
KFL_API int kfl_topic_set(kfl_store *store, const char *name, const char *property,
                          const char *value);

/* The number of partitions, or KFL_E_UNKNOWN_TOPIC_OR_PARTITION. */
KFL_API int kfl_topic_partition_count(kfl_store *store, const char *name);
/* The topic's properties as they are in force. Owned: kfl_config_destroy(). */
KFL_API int kfl_topic_config(kfl_store *store, const char *name, kfl_config **out_config);

/* All topic names, sorted. Owned: kfl_names_release(). */
typedef struct kfl_names kfl_names;
KFL_API int kfl_topic_list(kfl_store *store, kfl_names **out_names);
KFL_API int32_t kfl_names_count(const kfl_names *names);
/* borrowed; NULL for a bad index */
KFL_API const char *kfl_names_get(const kfl_names *names, int32_t index);
KFL_API void kfl_names_release(kfl_names *names); /* takes NULL */

/*
 * The first offset kept, the next to be given, and below which everything survives a power cut.
 *
 * After a power cut the next offset may be larger than that of the last record + 1. Who rebuilds
 * something from the records and then appends on condition takes the end before reading, reads up
 * to it, and hands kfl_producer_send_if() the larger of that end and the position reached.
 */
KFL_API int kfl_topic_start_offset(kfl_store *store, const char *name, int32_t partition,
                                   int64_t *out_offset);
KFL_API int kfl_topic_end_offset(kfl_store *store, const char *name, int32_t partition,
                                 int64_t *out_offset);
KFL_API int kfl_topic_durable_offset(kfl_store *store, const char *name, int32_t partition,
                                     int64_t *out_offset);

/*
 * The first offset whose timestamp is timestamp_ms or later, also when times are out of order.
 * Returns 1 when there is one, 0 when there is none. A negative time is KFL_E_INVALID_TIMESTAMP.
 */
KFL_API int kfl_topic_offset_for_time(kfl_store *store, const char *name, int32_t partition,
                                      int64_t timestamp_ms, int64_t *out_offset,
                                      int64_t *out_timestamp_ms);
/*
 * The record with the largest timestamp (the first of several). Returns 1, or 0 for an empty
 * partition.
 */
KFL_API int kfl_topic_max_timestamp(kfl_store *store, const char *name, int32_t partition,
                                    int64_t *out_offset, int64_t *out_timestamp_ms);

/*
 * How far a reader is behind that goes on at this offset: how many offsets there are from it, or from the
 * start if that is above, to the end; and for how many milliseconds the first record there has been
 * waiting, by its timestamp and the store's clock; a time that lies ahead of the clock counts as 0. Either
 * may be NULL. Reads one batch.
 *
 * Returns 1, or 0 when nothing is left to read, and 0 for both.
 */
KFL_API int kfl_topic_lag(kfl_store *store, const char *name, int32_t partition, int64_t offset,
                          int64_t *out_records, int64_t *out_ms);
/*
 * Wait until everything below `offset` is durable, and bring that about. Waiters share syncs.
 * offset KFL_OFFSET_END: all that is there now. KFL_E_TIMEOUT, KFL_E_FAILED,
 * KFL_E_OFFSET_OUT_OF_RANGE (above the end)
 */
KFL_API int kfl_topic_wait_durable(kfl_store *store, const char *name, int32_t partition,
                                   int64_t offset, int32_t timeout_ms);

/*
 * Delete the records below before_offset; KFL_OFFSET_END deletes all that are there. The start
 * offset moves to exactly that offset; bytes go when a whole segment lies below it. At or below the
 * start: nothing happens. KFL_E_OFFSET_OUT_OF_RANGE above the end; KFL_E_POLICY_VIOLATION when
 * cleanup.policy lacks "delete".
 */
KFL_API int kfl_topic_delete_records(kfl_store *store, const char *name, int32_t partition,
                                     int64_t before_offset, int64_t *out_start_offset);

/*
 * Compact a topic now, every partition of it. For each key the newest record stays, with its offset;
 * a tombstone stays for delete.retention.ms from the compaction that meets it first. The file that
 * takes appends is never compacted.
 *
 *   flags      0: as the background would, if it is due; or of
 *              KFL_COMPACT_FORCE    whatever min.cleanable.dirty.ratio says
 *              KFL_COMPACT_ROLL     the file that takes appends is closed first, so that all that
 *                                   is there takes part
 *              KFL_COMPACT_DRY_RUN  read and count, change nothing; freed_bytes is an estimate
 *   budget_ms  stop after about this long; -1: when it is done
 *
 * Returns 1 while there is more (call again with the same flags; to stop calling loses nothing), 0, or
 *         KFL_E_CORRUPT   a file is damaged: what lies in front of it was compacted
 *         KFL_E_POLICY_VIOLATION  cleanup.policy lacks "compact"
 *         KFL_E_NO_SPACE, KFL_E_IO, KFL_E_NOMEM, KFL_E_UNKNOWN_TOPIC_OR_PARTITION
 */
enum { KFL_COMPACT_FORCE = 1, KFL_COMPACT_ROLL = 2, KFL_COMPACT_DRY_RUN = 4 };
KFL_API int kfl_topic_compact(kfl_store *store, const char *name, int flags, int32_t budget_ms,
                              kfl_progress *out_progress);
/* Delete now what retention lets go of this topic. out_progress may be NULL. */
KFL_API int kfl_topic_retain(kfl_store *store, const char *name, kfl_progress *out_progress);

/*
 * What retention or compaction would do to each segment of a topic now, and why it stays where it does. Changes
 * nothing.
 *
 *   kind      KFL_PLAN_…; forced: as with KFL_COMPACT_FORCE
 *   out_plan  in order of partition and offset. Owned: kfl_plan_release()
 */
typedef struct kfl_plan kfl_plan;
typedef struct kfl_plan_row {
    const char *topic;
    int32_t partition;
    int32_t goes; /* 1: it is deleted, or takes part in compaction */
    int64_t segment_id;
    int64_t base_offset;
    int64_t end_offset;
    int64_t bytes;
    const char *text; /* e.g. "stays: group \"billing\" has committed 17 only" */
} kfl_plan_row;
enum { KFL_PLAN_RETENTION = 0, KFL_PLAN_COMPACTION = 1, KFL_PLAN_FORCED_COMPACTION = 2 };
KFL_API int kfl_topic_plan(kfl_store *store, const char *name, int kind, kfl_plan **out_plan);
KFL_API int32_t kfl_plan_count(const kfl_plan *plan);
KFL_API const kfl_plan_row *kfl_plan_get(const kfl_plan *plan, int32_t index); /* NULL for a bad index */
KFL_API void kfl_plan_release(kfl_plan *plan);                                 /* takes NULL */

/*
 * Forget one key of a compacted topic, in every partition: a tombstone is appended for those who keep a
 * table, and then every record of the key goes, the tombstone among them, whatever delete.retention.ms and
 * min.compaction.lag.ms say. When it has returned, no file of the store has a record of the key that was appended
 * before the call. What a reader holds stays until it lets go; a device may keep what was written to it.
 *
 *   out_records  how many there were; may be NULL
 *
 * Returns 0, or KFL_E_CORRUPT (a file is damaged: whether it had the key cannot be said),
 *         KFL_E_POLICY_VIOLATION (cleanup.policy lacks "compact"), KFL_E_BUSY (try again), KFL_E_NO_SPACE, KFL_E_IO,
 *         KFL_E_NOMEM, KFL_E_UNKNOWN_TOPIC_OR_PARTITION
 */
KFL_API int kfl_topic_forget(kfl_store *store, const char *name, const void *key, size_t key_size,
                             int64_t *out_records);

/* ----------------------------------------------------------------------------------------------
 * Producing
 * ---------------------------------------------------------------------------------------------- */

#define KFL_PARTITION_ANY (-1)
#define KFL_TIMESTAMP_NOW (-1)    /* the wall clock */
#define KFL_OFFSET_PENDING (-3)   /* the record waits in a batch: flush tells */
#define KFL_OFFSET_BEGINNING (-2) /* the start offset */
#define KFL_OFFSET_END (-1)       /* the end offset */
#define KFL_OFFSET_STORED (-1000) /* the group's committed offset */

/* Filled by the caller when sending; read-only when reading. */
typedef struct kfl_header {
    const char *name;  /* never NULL; ends with NUL */
    const void *value; /* NULL: missing, which differs from empty */
    size_t value_size;
} kfl_header;

typedef struct kfl_producer kfl_producer;

/*
 * A producer with properties of its own (acks, linger.ms, batch.size, compression.type,
 * partitioner, max.block.ms, …). Several threads may share one. Owned: kfl_producer_close().
 */
KFL_API int kfl_producer_open(kfl_store *store, const kfl_config *config,
                              kfl_producer **out_producer);
/*
 * Flushes first, at most max.block.ms. Frees in any case; the result tells what the flush met.
 * Takes NULL.
 */
KFL_API int kfl_producer_close(kfl_producer *producer);

/*
 * Append one record.
 *
 * Without lingering it is in the log when the call returns, and with acks=all it is durable too.
 * With linger.ms > 0 it joins a batch: the offset is KFL_OFFSET_PENDING, and errors met later are
 * told by kfl_producer_flush().
 *
 *   partition     a number, or KFL_PARTITION_ANY: by the key (murmur2, as Kafka's Java client), or,
 *                 without a key, the partition in favour now (another one about every batch.size
 *                 bytes)
 *   key, value    NULL: missing. Not NULL with size 0: empty. A missing value deletes the key in a
 *                 compacted topic
 *   headers       header_count of them, kept in order, duplicates and all; NULL when 0
 *   timestamp_ms  0 or more, or KFL_TIMESTAMP_NOW. Ignored where
 *                 message.timestamp.type=LogAppendTime
 *   out_offset    may be NULL
 *
 * Returns   the partition that the record went to (0 or more), or
 *           KFL_E_UNKNOWN_TOPIC_OR_PARTITION, KFL_E_MESSAGE_TOO_LARGE, KFL_E_INVALID_TIMESTAMP,
 *           KFL_E_INVALID_RECORD   no key, and the topic is compacted
 *           KFL_E_BUSY             the partition stayed locked for max.block.ms; the text names the
 *                                  process
 *           KFL_E_NO_SPACE, KFL_E_FAILED, KFL_E_CLOSED, KFL_E_FORKED, KFL_E_INVALID
 * Threads   any
 * Cost      no allocation and no system call with acks=0 and 1, but for a new segment
 * Since     0.1
 */
KFL_API int kfl_producer_send(kfl_producer *producer, const char *topic, int32_t partition,
                              const void *key, size_t key_size, const void *value,
                              size_t value_size, const kfl_header *headers, size_t header_count,
                              int64_t timestamp_ms, int64_t *out_offset);

/*
 * Append one record only if the partition ends at expected_offset: the check and the append are one
 * step. Never lingers. KFL_E_CONFLICT: it does not; kfl_last_error_offset() is where it ends. A
 * number is needed for the partition.
 */
KFL_API int kfl_producer_send_if(kfl_producer *producer, const char *topic, int32_t partition,
                                 const void *key, size_t key_size, const void *value,
                                 size_t value_size, const kfl_header *headers, size_t header_count,
                                 int64_t timestamp_ms, int64_t expected_offset,
                                 int64_t *out_offset);

/*
 * One row a record, and one block of bytes: for each row in order its key, its value, its headers.
 * A header is uint32 name size, int32 value size (-1: missing), name, NUL, value; little-endian,
 * unaligned. Filled by the caller when sending (offset is then an output), by kfl_records_pack()
 * when reading.
 */
typedef struct kfl_packed_row {
    int64_t offset;
    int64_t timestamp_ms; /* or KFL_TIMESTAMP_NOW */
    int32_t partition;    /* or KFL_PARTITION_ANY; tells the choice afterwards */
    int32_t key_size;     /* -1: missing */
    int32_t value_size;   /* -1: missing */
    int32_t header_count;
    int32_t headers_size; /* of all its headers in the block */
    int32_t topic_index;  /* reading: which of kfl_records_topic(); sending: 0 */
} kfl_packed_row;

/*
 * Where records go and how large they are, for a caller to whom each parameter of a call is dear, as
 * it is to bindings: one that sends records of many sizes has one of these for each, or fills one
 * anew. A caller whose bytes have their size in front of them, as many languages' strings do, tells
 * size_before and needs one for all; key_size and value_size are then 0. Filled by the caller and
 * only read here; producer and topic stay as long as it is in use.
 */
typedef struct kfl_destination {
    kfl_producer *producer;
    const char *topic;
    int64_t timestamp_ms; /* or KFL_TIMESTAMP_NOW */
    int32_t partition;    /* or KFL_PARTITION_ANY */
    int32_t key_size;     /* of each record that is sent with it; 0 where the key is missing */
    int32_t value_size;   /* the same */
    int32_t size_before;  /* 0; or so many bytes before a key or value lies its size, a size_t */
} kfl_destination;

/*
 * kfl_producer_send() without headers, in fewer words; a key or value of NULL is missing.
 * Returns what the two macros below take apart, which is never 0, or 0 on failure:
 * kfl_last_error_code() tells which. Threads may share a destination.
 */
KFL_API int64_t kfl_producer_send_to(const kfl_destination *to, const void *key, const void *value);

#define KFL_SENT_PARTITION(sent) ((int32_t)(((sent)-1) >> 46))
/* The offset; KFL_SENT_UNTOLD where it lingers, or from 2^46 - 1 on: the record was sent, though. */
#define KFL_SENT_OFFSET(sent) (((sent)-1) & KFL_SENT_UNTOLD)
#define KFL_SENT_UNTOLD ((INT64_C(1) << 46) - 1)

/*
 * Append many records by one call. The records of one partition become one batch: consecutive
 * offsets, nothing between them, all or none (split only where a batch would be larger than
 * max.message.bytes allows). Never lingers: offsets are told in the rows. A record
 * that is refused refuses the call before anything is appended; an error in the middle (a full
 * disk) leaves offset KFL_OFFSET_PENDING in the rows that were not appended. Rows with an offset are
 * in the log, also where acks=all could not make them durable.
 *
 * Returns the number of rows appended, which is row_count, or an error as kfl_producer_send().
 */
KFL_API int kfl_producer_send_packed(kfl_producer *producer, const char *topic,
                                     kfl_packed_row *rows, size_t row_count, const void *bytes,
                                     size_t bytes_size);

/*
 * Append what lingers, and make everything sent by this producer so far as safe as its acks says.
 * Returns 0, KFL_E_TIMEOUT, or the first error that a lingering batch met since the last flush (its
 * records are then not in the log, and the text names topic, partition and how many).
 */
KFL_API int kfl_producer_flush(kfl_producer *producer, int32_t timeout_ms);

/* ----------------------------------------------------------------------------------------------
 * Consuming
 * ---------------------------------------------------------------------------------------------- */

/* One record, as it lies in the log. Read-only; its bytes stay until the records are released. */
typedef struct kfl_record {
    const char *topic;
    int32_t partition;
    int32_t timestamp_type; /* 0 CreateTime, 1 LogAppendTime */
    int64_t offset;
    int64_t timestamp_ms;
    const void *key; /* NULL: missing */
    size_t key_size;
    const void *value; /* NULL: missing */
    size_t value_size;
    const void *packed_headers; /* see kfl_packed_row; NULL when header_count is 0 */
    size_t packed_headers_size;
    int32_t header_count;
    int32_t reserved;
} kfl_record;

/* A place in a partition and what is stored with it. Filled by the caller in calls that take it. */
typedef struct kfl_partition_offset {
    const char *topic;
    int64_t offset;
    int32_t partition;
    int32_t reserved;     /* 0 */
    const char *metadata; /* of a commit: any bytes, at most 4096; NULL when there are none */
    size_t metadata_size;
} kfl_partition_offset;

typedef struct kfl_consumer kfl_consumer;
typedef struct kfl_records kfl_records;
typedef struct kfl_event kfl_event;
typedef struct kfl_offsets kfl_offsets;
typedef struct kfl_group kfl_group;

/*
 * Properties: group.id, auto.offset.reset, max.poll.records, read.durable, … Owned:
 * kfl_consumer_close(). KFL_E_INVALID_CONFIG: properties that need group.id or group.instance.id,
 * and it is not set.
 */
KFL_API int kfl_consumer_open(kfl_store *store, const kfl_config *config,
                              kfl_consumer **out_consumer);
/*
 * Waits for asynchronous commits, commits the positions if enable.auto.commit=true (the default is
 * false), and leaves the group: its partitions are free when this returns. A member with a
 * group.instance.id does not leave: its partitions wait session.timeout.ms for its return. Events
 * that nobody has taken are dropped. Frees in any case; the result tells what the commits met.
 * Records stay valid. Takes NULL.
 */
KFL_API int kfl_consumer_close(kfl_consumer *consumer);

/*
 * Read these partitions from now on, and no others. `offset` of each is where to begin: an offset,
 * KFL_OFFSET_BEGINNING, KFL_OFFSET_END, or KFL_OFFSET_STORED: the group's committed offset, else
 * auto.offset.reset. A partition that was assigned before and is given KFL_OFFSET_STORED keeps its
 * position. count 0 assigns nothing. Of a consumer that is subscribed: KFL_E_INVALID.
 */
KFL_API int kfl_consumer_assign(kfl_consumer *consumer, const kfl_partition_offset *partitions,
                                size_t count);
/* What is assigned, with positions. Owned: kfl_offsets_release(). */
KFL_API int kfl_consumer_assignment(kfl_consumer *consumer, kfl_offsets **out_offsets);

/*
 * Subscribe: be a member of the group `group.id` and read the partitions that it gives us.
 *
 * The partitions of all topics that members subscribe to are shared out among those members by
 * partition.assignment.strategy. There is no coordinator and there are no heartbeats: a member whose
 * process ends, however it ends, is replaced at once. The next poll joins; every later poll follows
 * what the group has become, and tells of it by events (see kfl_consumer_next_event()). A partition
 * belongs to at most one member at any moment: who has to give it up is told first (REVOKED), keeps
 * it until the poll after that event was taken, and only then does another one get it (ASSIGNED).
 *
 * A member that does not poll for max.poll.interval.ms loses its place: the others share its
 * partitions, its commits are refused, and its next poll tells LOST and joins anew.
 *
 *   topics       names; such as do not exist yet are read once they do
 *   topic_count  1 or more
 *
 * Replaces the subscription there was. Returns 0, KFL_E_INVALID_GROUP_ID (no group.id),
 * KFL_E_INVALID_TOPIC, or KFL_E_INVALID (partitions are assigned by kfl_consumer_assign(): assign
 * none first). What the join meets is told by the poll: KFL_E_INCONSISTENT_GROUP_PROTOCOL,
 * KFL_E_BUSY (1,024 members live in the store), KFL_E_READ_ONLY.
 */
KFL_API int kfl_consumer_subscribe(kfl_consumer *consumer, const char *const *topics,
                                   size_t topic_count);
/*
 * The same for all topics whose whole name matches a POSIX extended regular expression, now or
 * later. Names that begin with two underscores are internal, and match only with
 * exclude.internal.topics=false. KFL_E_BAD_VALUE: no regular expression.
 */
KFL_API int kfl_consumer_subscribe_pattern(kfl_consumer *consumer, const char *pattern);
/*
 * Leave the group as kfl_consumer_close() does, and have nothing assigned. Without events: who must
 * do something with the partitions asks kfl_consumer_assignment() before. Nothing happens to a
 * consumer that is not subscribed.
 */
KFL_API int kfl_consumer_unsubscribe(kfl_consumer *consumer);
/*
 * The topics subscribed to: the names given, or those that the pattern matches now. Empty when not
 * subscribed. Owned: kfl_names_release().
 */
KFL_API int kfl_consumer_subscription(kfl_consumer *consumer, kfl_names **out_names);
/*
 * Who this consumer is in its group: its member id, borrowed until the close of the consumer, and
 * the generation whose assignment it has taken. Both may be NULL. KFL_E_UNKNOWN_MEMBER_ID: it is no
 * member (it has not polled yet, or has lost its place).
 */
KFL_API int kfl_consumer_member(kfl_consumer *consumer, const char **out_member_id,
                                int32_t *out_generation);

/*
 * The next poll begins there; nothing is committed. `offset` may be KFL_OFFSET_BEGINNING or _END.
 * Not assigned: KFL_E_INVALID.
 */
KFL_API int kfl_consumer_seek(kfl_consumer *consumer, const char *topic, int32_t partition,
                              int64_t offset);
/* The offset of the next record to be handed out. */
KFL_API int kfl_consumer_position(kfl_consumer *consumer, const char *topic, int32_t partition,
                                  int64_t *out_offset);
/* A paused partition hands out nothing and keeps its position. */
KFL_API int kfl_consumer_pause(kfl_consumer *consumer, const char *topic, int32_t partition);
KFL_API int kfl_consumer_resume(kfl_consumer *consumer, const char *topic, int32_t partition);

/*
 * Hand out the next records of this consumer's partitions.
 *
 * Returns as soon as one record is there. Positions move past what is handed out; nothing is
 * committed, unless enable.auto.commit=true: then a poll also begins, every
 * auto.commit.interval.ms, an asynchronous commit of what earlier polls have handed out. A consumer
 * that is subscribed joins its group here, and follows it.
 *
 *   timeout_ms   longest wait, for other processes that keep a group's member from joining, too; 0 looks once,
 *                and waits for those; -1 waits for ever
 *   max_records  1 .. 65536, or 0: max.poll.records
 *   out_records  counted: kfl_records_release(). NULL when 0 is returned
 *
 * Returns   the number of records, 0 when time ran out, or
 *           KFL_E_EVENT   something happened first: kfl_consumer_next_event() hands it out, in
 *                         order with the records. A hole is told once, and the position then stands
 *                         behind it
 *           KFL_E_WOKEN   kfl_consumer_wakeup() was called; KFL_E_INTR: a signal arrived, or see
 *           kfl_thread_patience()
 *           KFL_E_OFFSET_OUT_OF_RANGE   a position is outside its partition and
 *                                       auto.offset.reset=none
 *           KFL_E_CLOSED, KFL_E_FORKED, KFL_E_UNKNOWN_TOPIC_OR_PARTITION (an assigned one was deleted
 *           meanwhile), KFL_E_NOMEM, KFL_E_IO
 *           KFL_E_FENCED_INSTANCE_ID   a newer consumer has this group.instance.id: close this one
 *           or what joining the group meets: see kfl_consumer_subscribe()
 * Threads   any; polls of one consumer take turns
 * Lifetime  the bytes stay valid until the release, whatever is polled, deleted or closed meanwhile
 * Cost      copies no key and no value; allocates nothing once warm
 * Since     0.1
 */
KFL_API int kfl_consumer_poll(kfl_consumer *consumer, int32_t timeout_ms, int32_t max_records,
                              kfl_records **out_records);

/* Makes the poll that waits now, or else the next one, answer KFL_E_WOKEN once. From any thread. */
KFL_API int kfl_consumer_wakeup(kfl_consumer *consumer);

/*
 * A descriptor for select, poll, epoll and event loops: readable when a poll with a time-out would not
 * wait, because there are records, an event, a wakeup, an error, or because the store was closed.
 *
 * It is level-triggered: readable from the beginning, and until a poll has found nothing (returned
 * 0); from then on not until there may be something again, whichever process brings it about. So
 * poll with timeout_ms 0 until it returns 0, then wait for the descriptor. It may be readable
 * without cause, for instance after an assign, seek or resume; the next poll tells. That of a
 * consumer with a group's membership or enable.auto.commit is, once a second: its polls have more to do
 * than to read.
 *
 * Returns   the descriptor, the same each time, or
 *           KFL_E_IO        no descriptors left
 *           KFL_E_NOMEM     also when no thread can be started
 *           KFL_E_CLOSED, KFL_E_FORKED, KFL_E_INVALID
 * Threads   any. The first call starts one thread for all consumers of the store
 * Lifetime  the consumer's: kfl_consumer_close() closes it. Do not read, write or close it; register
 *           it for reading, and take it out before the close. A child of fork() leaves it alone
 * Cost      none for producers until somebody asks; then that of a poll that sleeps
 * Since     0.1
 */
KFL_API int kfl_consumer_event_fd(kfl_consumer *consumer);

/*
 * The oldest event not yet handed out. Returns 1 and an owned event (kfl_event_release()), or 0.
 * Which parts an event has:
 *
 * KFL_EVENT_HOLE           topic, partition, offset, end_offset, text: the records [offset,
 *                          end_offset) cannot be read, the bytes are damaged. Reading goes on behind
 *                          it
 * KFL_EVENT_LAPPED         the same parts: the records were deleted before this consumer read them,
 *                          and auto.offset.reset moved it
 * KFL_EVENT_ASSIGNED       offsets, generation: these partitions are ours from now on, with the
 *                          positions at which reading begins. Told once for each generation that is
 *                          taken over, also when nothing is new; a partition that another member has
 *                          to give up first comes in a further event
 * KFL_EVENT_REVOKED        offsets, generation: these partitions go to other members. They give no
 *                          more records, stay ours until the next poll after this event was taken,
 *                          and may be committed until then. Never empty. With enable.auto.commit the
 *                          positions are committed already
 * KFL_EVENT_LOST           offsets, text: these partitions are not ours any more, commits for them
 *                          are refused, and others may read them. Never empty
 * KFL_EVENT_ASSIGN_NEEDED  group, generation: this member shares out the partitions, because the
 *                          assignor is a "user:" one: kfl_consumer_assign_answer()
 * KFL_EVENT_COMMITTED      code, ticket, offsets, text: what became of kfl_consumer_commit_async()
 */
enum {
    KFL_EVENT_HOLE = 1,
    KFL_EVENT_LAPPED = 2,
    KFL_EVENT_ASSIGNED = 3,
    KFL_EVENT_REVOKED = 4,
    KFL_EVENT_LOST = 5,
    KFL_EVENT_ASSIGN_NEEDED = 6,
    KFL_EVENT_COMMITTED = 7
};
KFL_API int kfl_consumer_next_event(kfl_consumer *consumer, kfl_event **out_event);
/* Parts that an event does not have are "", -1, 0 and NULL. */
KFL_API int32_t kfl_event_kind(const kfl_event *event);
KFL_API const char *kfl_event_topic(const kfl_event *event);
KFL_API int32_t kfl_event_partition(const kfl_event *event);
KFL_API int64_t kfl_event_offset(const kfl_event *event);
KFL_API int64_t kfl_event_end_offset(const kfl_event *event);
KFL_API const char *kfl_event_text(const kfl_event *event); /* borrowed until the release */
/* Of a group: its generation; -1. */
KFL_API int32_t kfl_event_generation(const kfl_event *event);
/* Of COMMITTED: 0 or an error, and the newest ticket that this is the outcome of. */
KFL_API int kfl_event_code(const kfl_event *event);
KFL_API int64_t kfl_event_ticket(const kfl_event *event);
/* Borrowed until the release; NULL where there are none. */
KFL_API const kfl_offsets *kfl_event_offsets(const kfl_event *event);
/* Of ASSIGN_NEEDED: all members. Borrowed until the release. */
KFL_API const kfl_group *kfl_event_group(const kfl_event *event);
KFL_API void kfl_event_release(kfl_event *event); /* takes NULL */

/* One partition for one member. Filled by the caller. */
typedef struct kfl_member_partition {
    const char *member_id;
    const char *topic;
    int32_t partition;
    int32_t reserved; /* 0 */
} kfl_member_partition;

/*
 * The answer to KFL_EVENT_ASSIGN_NEEDED: who is to own what. Partitions that are not named belong to
 * nobody. The members take over at their next polls, as with any other assignor.
 *
 * Returns 0, or KFL_E_ILLEGAL_GENERATION (the group has moved on: another ASSIGN_NEEDED goes to whom
 * it concerns), KFL_E_UNKNOWN_MEMBER_ID, KFL_E_UNKNOWN_TOPIC_OR_PARTITION, KFL_E_INVALID (a partition
 * twice; a topic that its member does not subscribe to). After an error nothing has changed and
 * another answer may be given. A member that neither answers nor polls is replaced after
 * max.poll.interval.ms.
 */
KFL_API int kfl_consumer_assign_answer(kfl_consumer *consumer, int32_t generation,
                                       const kfl_member_partition *partitions, size_t count);

/* What a poll handed out. */
KFL_API int32_t kfl_records_count(const kfl_records *records);
/*
 * Borrowed until the release; NULL for a bad index. Rows lie one after the other,
 * kfl_records_stride() bytes apart.
 */
KFL_API const kfl_record *kfl_records_get(const kfl_records *records, int32_t index);
KFL_API size_t kfl_records_stride(const kfl_records *records);
/* takes NULL; any thread, also after the store's close */
KFL_API void kfl_records_release(kfl_records *records);
/*
 * The index-th header of a record. Returns 0; a bad index is KFL_E_INVALID. Lives as long as the
 * record.
 */
KFL_API int kfl_record_header(const kfl_record *record, int32_t index, kfl_header *out_header);

/*
 * The whole as rows and bytes, for bindings. With rows NULL only tells the size needed. Returns the
 * row count. bytes_size too small: KFL_E_INVALID. topic_index counts the distinct topics in order
 * of appearance.
 */
KFL_API int kfl_records_pack(const kfl_records *records, kfl_packed_row *rows, void *bytes,
                             size_t bytes_size, size_t *out_bytes_size);
/* NULL behind the last */
KFL_API const char *kfl_records_topic(const kfl_records *records, int32_t topic_index);

/* ----------------------------------------------------------------------------------------------
 * Committed offsets
 *
 * A committed offset is the next one to be read, by group, topic and partition. A commit first
 * makes the records below it durable and is durable when it returns; commits made at the same time
 * share the cost.
 * ---------------------------------------------------------------------------------------------- */

/*
 * Commit for the consumer's group. records NULL: the positions of all assigned partitions, that is
 * everything polled so far; else what lies behind the last record of each partition in `records`.
 *
 * A member of the group commits only what it owns. Returns 0, or
 *           KFL_E_INVALID_GROUP_ID        no group.id
 *           KFL_E_ILLEGAL_GENERATION      another member owns one of the partitions by now, or owned
 *                                         it in between
 *           KFL_E_UNKNOWN_MEMBER_ID       this consumer has lost its place in the group; or it never
 *                                         had one (kfl_consumer_assign()), and the group has members
 *           KFL_E_FENCED_INSTANCE_ID      a newer consumer has this group.instance.id
 *           KFL_E_UNKNOWN_TOPIC_OR_PARTITION   a topic of `records` was deleted, whether or not there
 *                                         is a new one of its name
 *           KFL_E_REBALANCE_IN_PROGRESS   this member waits for its first assignment
 *           KFL_E_FAILED, KFL_E_NO_SPACE, KFL_E_IO, KFL_E_READ_ONLY, …
 * After an error nothing is committed.
 */
KFL_API int kfl_consumer_commit(kfl_consumer *consumer, const kfl_records *records);
/*
 * Commit these offsets, all or none. An offset above the end is KFL_E_OFFSET_OUT_OF_RANGE; it may
 * lie below an older commit.
 */
KFL_API int kfl_consumer_commit_offsets(kfl_consumer *consumer, const kfl_partition_offset *offsets,
                                        size_t count);
/*
 * The same without waiting for the disk: kfl_consumer_commit_offsets(), or with offsets NULL and
 * count 0 kfl_consumer_commit() of all positions.
 *
 * Commits of one consumer that come while one is under way are joined, the newest offset of each
 * partition counts. A later poll tells the outcome by KFL_EVENT_COMMITTED, of this commit and all
 * earlier ones that were not told yet. What is committed before a revocation, by
 * kfl_consumer_commit() or at the close comes after it. A store without its helper thread
 * (background.threads=0) commits at the next poll, at kfl_store_maintain() or at the close.
 *
 *   out_ticket  rises from 1; NULL: only a failure is told
 *
 * Returns 0 once it is noted, or what can be said without a look at the group.
 */
KFL_API int kfl_consumer_commit_async(kfl_consumer *consumer, const kfl_partition_offset *offsets,
                                      size_t count, int64_t *out_ticket);
/*
 * What is committed for these partitions; offset -1 where nothing is. Waits for what this consumer has
 * asked to commit before. Owned: kfl_offsets_release().
 */
KFL_API int kfl_consumer_committed(kfl_consumer *consumer, const kfl_partition_offset *partitions,
                                   size_t count, kfl_offsets **out_offsets);

KFL_API int32_t kfl_offsets_count(const kfl_offsets *offsets);
KFL_API const kfl_partition_offset *kfl_offsets_get(const kfl_offsets *offsets, int32_t index);
KFL_API void kfl_offsets_release(kfl_offsets *offsets); /* takes NULL */

/* ----------------------------------------------------------------------------------------------
 * Groups by name
 *
 * A group exists while it has members or committed offsets. The offsets of a group that has had
 * members go offsets.retention.minutes after the last one left; those of a group that never had any,
 * and of topics that a group with members no longer subscribes to, so long after their commit.
 * ---------------------------------------------------------------------------------------------- */

/* The names of all groups, sorted. Owned: kfl_names_release(). */
KFL_API int kfl_group_list(kfl_store *store, kfl_names **out_names);
/* What it has committed. Owned. A group without any: KFL_E_GROUP_ID_NOT_FOUND. */
KFL_API int kfl_group_offsets(kfl_store *store, const char *group, kfl_offsets **out_offsets);

/* One member, as it was when the group was described. */
typedef struct kfl_member {
    const char *member_id;
    const char *instance_id; /* group.instance.id, "" for a dynamic member */
    const char *client_id;   /* client.id, "" */
    const char *program;     /* of its process, at most 15 bytes */
    const char *pattern;     /* its subscription as a pattern, "" */
    const kfl_names *topics; /* its subscription: names given, or matched */
    const kfl_offsets
        *owned; /* what it may read and commit, with the committed offsets (-1: none) */
    const kfl_offsets
        *target; /* what it is to own once others have given it up; the same offsets */
    int64_t process_id;
    int32_t is_away;    /* 1: its process is gone, and its partitions wait for its instance id */
    int32_t generation; /* whose assignment it has taken over; -1: none yet */
} kfl_member;

/*
 * PREPARING: members have partitions to give up. COMPLETING: an assignor is to answer, or members
 * have yet to take over what they were given.
 */
enum {
    KFL_GROUP_EMPTY = 1,
    KFL_GROUP_PREPARING_REBALANCE = 2,
    KFL_GROUP_COMPLETING_REBALANCE = 3,
    KFL_GROUP_STABLE = 4
};

/* The group as it is now. Owned: kfl_group_release(). KFL_E_GROUP_ID_NOT_FOUND. */
KFL_API int kfl_group_describe(kfl_store *store, const char *group, kfl_group **out_group);
KFL_API int32_t kfl_group_state(const kfl_group *group);
/* "range", …; "" while there are no members. */
KFL_API const char *kfl_group_assignor(const kfl_group *group);
KFL_API int32_t kfl_group_generation(const kfl_group *group); /* rises by one a rebalance */
/* Sorted by member id. Borrowed until the release; NULL for a bad index. */
KFL_API int32_t kfl_group_member_count(const kfl_group *group);
KFL_API const kfl_member *kfl_group_member(const kfl_group *group, int32_t index);
KFL_API void kfl_group_release(kfl_group *group); /* takes NULL */

/*
 * Commit for a group without members: what resets, imports and tools are made of. As
 * kfl_consumer_commit_offsets(); makes the group. KFL_E_UNKNOWN_MEMBER_ID: it has members.
 */
KFL_API int kfl_group_commit_offsets(kfl_store *store, const char *group,
                                     const kfl_partition_offset *offsets, size_t count);
/*
 * Forget what is committed for these partitions (their offsets do not matter); others stay. Nothing
 * committed there is no error. KFL_E_GROUP_SUBSCRIBED_TO_TOPIC: a member reads one of the topics;
 * KFL_E_GROUP_ID_NOT_FOUND.
 */
KFL_API int kfl_group_delete_offsets(kfl_store *store, const char *group,
                                     const kfl_partition_offset *partitions, size_t count);
/* With all that it has committed. KFL_E_NON_EMPTY_GROUP: it has members; KFL_E_GROUP_ID_NOT_FOUND. */
KFL_API int kfl_group_delete(kfl_store *store, const char *group);

/* ----------------------------------------------------------------------------------------------
 * Looking inside: segments, batches, checks, history
 * ---------------------------------------------------------------------------------------------- */

/* One file of a partition. */
typedef struct kfl_segment {
    int64_t segment_id;
    int64_t base_offset;      /* of its first record; -1: prepared, nothing in it yet */
    int64_t end_offset;       /* one past its last record */
    int64_t used_bytes;       /* header and batches */
    int64_t size_bytes;       /* reserved */
    int64_t max_timestamp_ms; /* -1: no record */
    int32_t state;            /* KFL_SEGMENT_… */
    int32_t reserved;
    const char *path;
} kfl_segment;
enum { KFL_SEGMENT_SEALED = 0, KFL_SEGMENT_ACTIVE = 1, KFL_SEGMENT_PREPARED = 2 };

typedef struct kfl_segments kfl_segments;
/* In offset order. Owned: kfl_segments_release(). */
KFL_API int kfl_segments_list(kfl_store *store, const char *topic, int32_t partition,
                              kfl_segments **out_segments);
KFL_API int32_t kfl_segments_count(const kfl_segments *segments);
KFL_API const kfl_segment *kfl_segments_get(const kfl_segments *segments, int32_t index);
KFL_API void kfl_segments_release(kfl_segments *segments);

/* One batch in a file. */
typedef struct kfl_batch {
    int64_t place; /* in the file, bytes */
    int64_t size;  /* without padding */
    int64_t base_offset;
    int64_t end_offset;
    int64_t base_timestamp_ms;
    int64_t max_timestamp_ms;
    int64_t durable_offset; /* everything below was durable when this was written; -1: not said */
    uint64_t checksum;
    int32_t record_count;
    int32_t codec; /* 0 none, 3 lz4, 4 zstd: Kafka's numbers */
    int32_t kind;  /* KFL_BATCH_… */
    uint32_t writer_epoch;
    int64_t next_segment_id; /* of an end mark; else -1 */
} kfl_batch;
enum { KFL_BATCH_RECORDS = 0, KFL_BATCH_END_MARK = 1 };

/*
 * Walk one segment file by pread, with no store and no catalog: the path of a .log file. What a
 * live store has not yet published may or may not be seen.
 */
typedef struct kfl_walk kfl_walk;
KFL_API int kfl_walk_open(const char *path, kfl_walk **out_walk); /* owned: kfl_walk_close() */
KFL_API void kfl_walk_close(kfl_walk *walk);
/* Facts of the header. topic: borrowed until the close. */
KFL_API const char *kfl_walk_topic(const kfl_walk *walk);
KFL_API int32_t kfl_walk_partition(const kfl_walk *walk);
KFL_API int64_t kfl_walk_segment_id(const kfl_walk *walk);
/* Where the walk stands: behind the last good batch. */
KFL_API int64_t kfl_walk_place(const kfl_walk *walk);
/*
 * The next batch: 1 and a borrowed batch, valid until the next call; 0 at the end of what was
 * written; KFL_E_CORRUPT for bytes that are neither: kfl_walk_skip() then looks for the next good
 * batch behind them.
 */
KFL_API int kfl_walk_next(kfl_walk *walk, const kfl_batch **out_batch);
/* 1: found one, 0: none behind */
KFL_API int kfl_walk_skip(kfl_walk *walk, int64_t *out_skipped_bytes);
/*
 * The records of the batch that next handed out. Owned: kfl_records_release(). Returns their
 * number.
 */
KFL_API int kfl_walk_records(kfl_walk *walk, kfl_records **out_records);

/*
 * Read and check everything of one topic, or of the whole store (topic NULL), by pread, changing
 * nothing. quick=1 looks at headers, manifests and indexes only. Returns the number of findings (0:
 * all is well); owned: kfl_findings_release().
 */
typedef struct kfl_finding {
    const char *topic;
    int32_t partition; /* -1: the catalog or the state file */
    int32_t kind;      /* KFL_FINDING_… */
    int64_t offset;    /* first offset concerned, -1 when none */
    int64_t end_offset;
    int64_t place;
    const char *path;
    const char *text;
} kfl_finding;
enum {
    KFL_FINDING_DAMAGE = 1,
    KFL_FINDING_MISSING_FILE = 2,
    KFL_FINDING_INDEX = 3,
    KFL_FINDING_ORDER = 4,
    KFL_FINDING_CATALOG = 5
};
typedef struct kfl_findings kfl_findings;
KFL_API int kfl_store_verify(kfl_store *store, const char *topic, int quick,
                             kfl_findings **out_findings);
KFL_API int32_t kfl_findings_count(const kfl_findings *findings);
KFL_API const kfl_finding *kfl_findings_get(const kfl_findings *findings, int32_t index);
/* What was read to find them; of a repair, what was copied. */
KFL_API int64_t kfl_findings_checked_records(const kfl_findings *findings);
KFL_API int64_t kfl_findings_checked_bytes(const kfl_findings *findings);
KFL_API void kfl_findings_release(kfl_findings *findings);

/*
 * Salvage a store that does not open any more, because its catalog is damaged or gone, into a new one
 * in `copy_path`, which is not there yet or is empty. Every batch that verifies is copied, at its
 * offset and durable; the old store is only read. Nobody may have it open: KFL_E_BUSY.
 *
 * What stood in the catalog alone is lost: committed offsets, the properties of topics, topics and
 * partitions without any record, and which records were deleted (they may come back). Where a
 * topic was deleted or made anew and its files are there still, it comes back with its number
 * behind its name. Each partition goes on at an offset well above its last record (2^32 above it),
 * so that no offset that somebody may have seen is given twice.
 *
 * Returns the number of findings, which is 0 when every file was whole; they tell what could not be
 * copied. Owned: kfl_findings_release(). On an error the copy is incomplete: remove it.
 */
KFL_API int kfl_store_repair(const char *path, const char *copy_path, kfl_findings **out_findings);

/* Who opened the store, how it was closed, and what recovery did. Newest last. */
typedef struct kfl_history_entry {
    int64_t time_ms;
    int64_t process_id;
    int32_t kind;        /* KFL_HISTORY_… */
    int32_t partition;   /* of a recovery; else -1 */
    const char *topic;   /* of a recovery; else "" */
    const char *program; /* its name, at most 15 bytes */
    const char *text;    /* e.g. "cut 412 bytes behind offset 98101 in 18 ms" */
} kfl_history_entry;
enum {
    KFL_HISTORY_OPEN = 1,
    KFL_HISTORY_CLOSE = 2,
    KFL_HISTORY_RECOVERY = 3,
    KFL_HISTORY_KILLED = 4
};
typedef struct kfl_history kfl_history;
KFL_API int kfl_history_list(kfl_store *store, kfl_history **out_history);
KFL_API int32_t kfl_history_count(const kfl_history *history);
KFL_API const kfl_history_entry *kfl_history_get(const kfl_history *history, int32_t index);
KFL_API void kfl_history_release(kfl_history *history);

/* ----------------------------------------------------------------------------------------------
 * Statistics: names and numbers, one after the other
 * ---------------------------------------------------------------------------------------------- */

typedef struct kfl_stats kfl_stats;
/* A moment's numbers of the whole store, all processes. Owned: kfl_stats_close(). */
KFL_API int kfl_stats_open(kfl_store *store, kfl_stats **out_stats);
/*
 * The next one: 1, or 0 behind the last. name e.g. "log_end_offset"; topic "" and partition -1
 * where it belongs to the store. Borrowed until the close.
 */
KFL_API int kfl_stats_next(kfl_stats *stats, const char **out_name, const char **out_topic,
                           int32_t *out_partition, int64_t *out_value);
KFL_API void kfl_stats_close(kfl_stats *stats);

#ifdef __cplusplus
}
#endif

#endif
