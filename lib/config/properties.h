/* SPDX-License-Identifier: MIT */
/*
 * The table: one row a property. From it come the typed struct, the parser, the checks, the
 * defaults, kfl_property_…() and docs/configuration.md.
 *
 * X(field, "name", scopes, type, default, least, most, choices, text)
 *   type     BOOLEAN, INT64, RATIO (a decimal of six places, kept in millionths), MODE (octal), CHOICE (the field holds the index into choices), LIST (a
 *            set of choices: the field holds a bit for each), STRING (the field points at the
 *            config's copy)
 *   default  as text, in the form that kfl_config_get() gives back
 *   least,   bounds of an INT64; of a MODE the bits that must and the bits that may be set; of a
 *   most     STRING its length in bytes
 *   choices  "a|b|c" for CHOICE and LIST, else NULL; "b=d" where d is another word for b
 */
#ifndef KFL_CONFIG_PROPERTIES_H
#define KFL_CONFIG_PROPERTIES_H

#include <stddef.h>
#include <stdint.h>

enum kfl__scope { KFL_SCOPE_STORE = 1, KFL_SCOPE_TOPIC = 2, KFL_SCOPE_PRODUCER = 4, KFL_SCOPE_CONSUMER = 8 };

/* clang-format off */
#define KFL_PROPERTIES(X) \
    X(create, "create", KFL_SCOPE_STORE, BOOLEAN, "true", 0, 1, NULL, \
      "Create the store when the directory holds none.") \
    X(read_only, "read.only", KFL_SCOPE_STORE, BOOLEAN, "false", 0, 1, NULL, \
      "Open for reading only. Nothing in the directory is written but the table of who reads the catalog " \
      "(catalog.mdb-lock, made if it is missing), and not even that where permissions forbid it.") \
    X(file_mode, "file.mode", KFL_SCOPE_STORE, MODE, "0600", 0600, 0666, NULL, \
      "Permissions of new files, octal; folders get the matching search bits. 0660 shares a store within a group.") \
    X(background_threads, "background.threads", KFL_SCOPE_STORE, INT64, "1", 0, 1, NULL, \
      "0: no helper thread; the program calls kfl_store_maintain() itself.") \
    X(history_retention_entries, "history.retention.entries", KFL_SCOPE_STORE, INT64, "1000", 1, 1000000, NULL, \
      "How many entries of the store's history are kept.") \
    X(offsets_retention_minutes, "offsets.retention.minutes", KFL_SCOPE_STORE, INT64, "10080", 1, 2147483647, NULL, \
      "How long committed offsets outlive the last member of their group; without members ever, their commit.") \
    X(flush_ms, "flush.ms", KFL_SCOPE_STORE | KFL_SCOPE_TOPIC, INT64, "1000", 1, INT64_MAX, NULL, \
      "A power cut takes at most what was appended with acks=0 or 1 in this many milliseconds. A topic without a value of its own uses the store's.") \
    X(flush_messages, "flush.messages", KFL_SCOPE_TOPIC, INT64, "9223372036854775807", 1, INT64_MAX, NULL, \
      "Sync a partition after this many records, whatever acks says.") \
    X(cleanup_policy, "cleanup.policy", KFL_SCOPE_TOPIC, LIST, "delete", 0, 0, "delete|compact", \
      "What may remove records. With compact every record needs a key; without delete, records cannot be deleted by request.") \
    X(retention_ms, "retention.ms", KFL_SCOPE_TOPIC, INT64, "-1", -1, INT64_MAX, NULL, \
      "A segment goes once its newest record is older than this; -1: never. Only with delete in cleanup.policy.") \
    X(retention_bytes, "retention.bytes", KFL_SCOPE_TOPIC, INT64, "-1", -1, INT64_MAX, NULL, \
      "The oldest segment of a partition goes while this many bytes are left without it; -1: no limit. Only with delete in cleanup.policy.") \
    X(retention_consumers_groups, "retention.consumers.groups", KFL_SCOPE_TOPIC, STRING, "", 0, 4096, NULL, \
      "Groups, separated by commas: what one of them has not committed is not deleted, up to retention.consumers.max.bytes. Without retention.ms and retention.bytes, a segment that all have committed goes.") \
    X(retention_consumers_max_bytes, "retention.consumers.max.bytes", KFL_SCOPE_TOPIC, INT64, "-1", -1, INT64_MAX, NULL, \
      "How much of the disk a partition's segments may take for those groups, at least two segments; -1: no limit.") \
    X(retention_consumers_on_full, "retention.consumers.on.full", KFL_SCOPE_TOPIC, CHOICE, "refuse", 0, 0, "refuse|drop|wait", \
      "What an append does that needs another segment beyond that limit. refuse: it fails. drop: the oldest segment goes, and consumers it passes are told. wait: for a commit, max.block.ms at most, then it fails.") \
    X(log_retention_check_interval_ms, "log.retention.check.interval.ms", KFL_SCOPE_STORE, INT64, "300000", 1, INT64_MAX, NULL, \
      "How often the helper looks for segments that may go.") \
    X(min_cleanable_dirty_ratio, "min.cleanable.dirty.ratio", KFL_SCOPE_TOPIC, RATIO, "0.5", 0, 1000000, NULL, \
      "A partition is compacted once so large a part of it was not compacted yet.") \
    X(min_compaction_lag_ms, "min.compaction.lag.ms", KFL_SCOPE_TOPIC, INT64, "0", 0, INT64_MAX, NULL, \
      "A segment whose newest record is younger than this is not compacted, nor is what lies behind it.") \
    X(max_compaction_lag_ms, "max.compaction.lag.ms", KFL_SCOPE_TOPIC, INT64, "9223372036854775807", 1, INT64_MAX, NULL, \
      "A partition with a record older than this that was not compacted yet is compacted whatever the ratio. With compact in cleanup.policy a segment is closed after this long too.") \
    X(delete_retention_ms, "delete.retention.ms", KFL_SCOPE_TOPIC, INT64, "86400000", 0, INT64_MAX, NULL, \
      "How long a tombstone stays after the compaction that meets it first.") \
    X(log_cleaner_backoff_ms, "log.cleaner.backoff.ms", KFL_SCOPE_STORE, INT64, "15000", 1, INT64_MAX, NULL, \
      "How often the helper looks for partitions to compact.") \
    X(log_cleaner_dedupe_buffer_size, "log.cleaner.dedupe.buffer.size", KFL_SCOPE_STORE, INT64, "134217728", 65536, 1099511627776, NULL, \
      "Most memory for the keys of a compaction, at 20 to 25 bytes a key. More keys take several passes.") \
    X(log_cleaner_io_max_bytes_per_second, "log.cleaner.io.max.bytes.per.second", KFL_SCOPE_STORE, INT64, "9223372036854775807", 65536, INT64_MAX, NULL, \
      "How much compaction reads and writes in a second.") \
    X(compression_type, "compression.type", KFL_SCOPE_TOPIC | KFL_SCOPE_PRODUCER, CHOICE, "producer", 0, 0, "producer|none|uncompressed|lz4|zstd", \
      "Codec of new batches. At a topic, producer keeps what the producer chose and uncompressed undoes it; at a producer, producer and none mean no compression. A codec that was not built in is refused.") \
    X(max_message_bytes, "max.message.bytes", KFL_SCOPE_TOPIC, INT64, "1048588", 0, 1073741824, NULL, \
      "Largest record or batch, in bytes as it is written.") \
    X(message_timestamp_type, "message.timestamp.type", KFL_SCOPE_TOPIC, CHOICE, "CreateTime", 0, 0, "CreateTime|LogAppendTime", \
      "Whether a record keeps the time its producer gave it, or gets the time of the append.") \
    X(message_timestamp_before_max_ms, "message.timestamp.before.max.ms", KFL_SCOPE_TOPIC, INT64, "9223372036854775807", 0, INT64_MAX, NULL, \
      "How far in the past a CreateTime may lie.") \
    X(message_timestamp_after_max_ms, "message.timestamp.after.max.ms", KFL_SCOPE_TOPIC, INT64, "9223372036854775807", 0, INT64_MAX, NULL, \
      "How far in the future a CreateTime may lie.") \
    X(segment_bytes, "segment.bytes", KFL_SCOPE_TOPIC, INT64, "67108864", 65536, 4294967296, NULL, \
      "Size of a full segment file. The first files of a partition are smaller, each twice the one before.") \
    X(segment_ms, "segment.ms", KFL_SCOPE_TOPIC, INT64, "604800000", 1, INT64_MAX, NULL, \
      "A segment is closed when the next batch comes this long after its first record's time.") \
    X(segment_index_bytes, "segment.index.bytes", KFL_SCOPE_TOPIC, INT64, "10485760", 4096, 1073741824, NULL, \
      "Largest index of a segment: 4 bytes a batch. A full one closes the segment.") \
    X(index_interval_bytes, "index.interval.bytes", KFL_SCOPE_TOPIC, INT64, "4096", 64, 2147483647, NULL, \
      "Bytes of log between two signposts of the time index.") \
    X(acks, "acks", KFL_SCOPE_PRODUCER, CHOICE, "1", 0, 0, "0|1|all=-1", \
      "0: never wait. 1: an acknowledged record survives the death of the process. all (or -1): it survives power loss.") \
    X(linger_ms, "linger.ms", KFL_SCOPE_PRODUCER, INT64, "0", 0, 2147483647, NULL, \
      "How long a record may wait for others to share its batch.") \
    X(batch_size, "batch.size", KFL_SCOPE_PRODUCER, INT64, "16384", 0, 1073741824, NULL, \
      "Bytes that close a lingering batch; also how much goes to one partition before records without a key move to another.") \
    X(partitioner, "partitioner", KFL_SCOPE_PRODUCER, CHOICE, "murmur2", 0, 0, "murmur2|xxh3", \
      "Hash that maps a key to its partition. murmur2 agrees with Kafka's Java client and kafka-python.") \
    X(partitioner_ignore_keys, "partitioner.ignore.keys", KFL_SCOPE_PRODUCER, BOOLEAN, "false", 0, 1, NULL, \
      "Place keyed records as if they had no key.") \
    X(max_block_ms, "max.block.ms", KFL_SCOPE_PRODUCER, INT64, "60000", 0, 2147483647, NULL, \
      "Longest wait for a partition's lock, for room, and in close.") \
    X(group_id, "group.id", KFL_SCOPE_CONSUMER, STRING, "", 0, 255, NULL, \
      "The group under whose name offsets are committed.") \
    X(auto_offset_reset, "auto.offset.reset", KFL_SCOPE_CONSUMER, CHOICE, "earliest", 0, 0, "earliest|latest|none", \
      "Where to begin without a committed offset, or when it lies outside the log.") \
    X(max_poll_records, "max.poll.records", KFL_SCOPE_CONSUMER, INT64, "500", 1, 65536, NULL, \
      "Most records of one poll.") \
    X(fetch_max_bytes, "fetch.max.bytes", KFL_SCOPE_CONSUMER, INT64, "52428800", 1, 2147483647, NULL, \
      "A poll stops after a batch that brings it to this many bytes; the first batch is always handed out.") \
    X(read_durable, "read.durable", KFL_SCOPE_CONSUMER, BOOLEAN, "false", 0, 1, NULL, \
      "Hand out only what survives a power cut.") \
    X(enable_auto_commit, "enable.auto.commit", KFL_SCOPE_CONSUMER, BOOLEAN, "false", 0, 1, NULL, \
      "Commit what earlier polls handed out: in a poll every auto.commit.interval.ms, before partitions are given up, and at the close.") \
    X(auto_commit_interval_ms, "auto.commit.interval.ms", KFL_SCOPE_CONSUMER, INT64, "5000", 0, 2147483647, NULL, \
      "How long positions may run ahead of the commits that enable.auto.commit makes.") \
    X(partition_assignment_strategy, "partition.assignment.strategy", KFL_SCOPE_CONSUMER, STRING, "range,cooperative-sticky", 1, 1000, NULL, \
      "Assignors that this member can work with, the one it likes best first: range, roundrobin, sticky, cooperative-sticky, or user:NAME, whose partitions the program shares out itself. A group uses one that all its members list.") \
    X(group_instance_id, "group.instance.id", KFL_SCOPE_CONSUMER, STRING, "", 0, 249, NULL, \
      "Makes a static member: its partitions wait for it when it is gone for less than session.timeout.ms.") \
    X(session_timeout_ms, "session.timeout.ms", KFL_SCOPE_CONSUMER, INT64, "45000", 1, 2147483647, NULL, \
      "How long the partitions of a static member wait for its return. Of other members a death is known at once: it is refused without group.instance.id.") \
    X(max_poll_interval_ms, "max.poll.interval.ms", KFL_SCOPE_CONSUMER, INT64, "300000", 1, 2147483647, NULL, \
      "A member of a group that does not poll for so long loses its partitions to the others.") \
    X(client_id, "client.id", KFL_SCOPE_CONSUMER, STRING, "", 0, 249, NULL, \
      "A name for the consumer, shown when its group is described.") \
    X(exclude_internal_topics, "exclude.internal.topics", KFL_SCOPE_CONSUMER, BOOLEAN, "true", 0, 1, NULL, \
      "A subscribed pattern matches no topic whose name begins with two underscores.")
/* clang-format on */

#define KFL__FIELD_BOOLEAN int32_t
#define KFL__FIELD_INT64 int64_t
#define KFL__FIELD_RATIO int64_t /* millionths */
#define KFL__FIELD_MODE uint32_t
#define KFL__FIELD_CHOICE int32_t
#define KFL__FIELD_LIST uint32_t
#define KFL__FIELD_STRING const char *

/* All values, typed; each module reads those of its scope. */
struct kfl__settings {
#define KFL__FIELD(field, name, scopes, type, ...) KFL__FIELD_##type field;
    KFL_PROPERTIES(KFL__FIELD)
#undef KFL__FIELD
};

/* The indexes of choices, in the order of the table. */
enum { KFL_CLEANUP_DELETE = 1, KFL_CLEANUP_COMPACT = 2 };
enum {
    KFL_COMPRESSION_PRODUCER,
    KFL_COMPRESSION_NONE,
    KFL_COMPRESSION_UNCOMPRESSED,
    KFL_COMPRESSION_LZ4,
    KFL_COMPRESSION_ZSTD,
};
enum { KFL_ON_FULL_REFUSE, KFL_ON_FULL_DROP, KFL_ON_FULL_WAIT };
enum { KFL_TIME_CREATE, KFL_TIME_APPEND };
enum { KFL_ACKS_0, KFL_ACKS_1, KFL_ACKS_ALL };
enum { KFL_PARTITIONER_MURMUR2, KFL_PARTITIONER_XXH3 };
enum { KFL_RESET_EARLIEST, KFL_RESET_LATEST, KFL_RESET_NONE };

/* Rows by index: KFL_PROPERTY_linger_ms, … */
enum {
#define KFL__INDEX(field, ...) KFL_PROPERTY_##field,
    KFL_PROPERTIES(KFL__INDEX)
#undef KFL__INDEX
    KFL_PROPERTY_COUNT
};

enum kfl__property_type {
    KFL_TYPE_BOOLEAN,
    KFL_TYPE_INT64,
    KFL_TYPE_RATIO,
    KFL_TYPE_MODE,
    KFL_TYPE_CHOICE,
    KFL_TYPE_LIST,
    KFL_TYPE_STRING,
};

struct kfl__property {
    const char *name;
    const char *default_text;
    const char *choices;
    const char *text;
    int64_t least, most;
    size_t place; /* of its field in the settings */
    uint32_t scopes;
    enum kfl__property_type type;
};

/* The row of this index, 0 .. KFL_PROPERTY_COUNT - 1. */
const struct kfl__property *kfl__property_get(int32_t index);
/* Its index, or KFL_E_UNKNOWN_PROPERTY, with the name that was probably meant. */
int kfl__property_find(const char *name);

/*
 * Read a value: the number that its field holds, whatever the type; a STRING has none and gives its
 * length. KFL_E_BAD_VALUE names property, value and what is accepted.
 */
int kfl__property_parse(const struct kfl__property *property, const char *text,
                        int64_t *out_value);
/* Put a parsed value into its field. Of a STRING the field then points at `text`. */
void kfl__property_store(const struct kfl__property *property, int64_t value, const char *text,
                         struct kfl__settings *settings);

/* All defaults. Borrowed, for ever. */
const struct kfl__settings *kfl__property_defaults(void);

#endif
