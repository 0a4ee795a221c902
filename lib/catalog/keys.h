/* SPDX-License-Identifier: MIT */
/*
 * How rows are keyed. All rows live in one tree; the first byte of a key names the table. Numbers
 * are big-endian, so that the order of bytes is the order of numbers; a name that something follows
 * ends with a NUL, so that "a" comes before "ab".
 */
#ifndef KFL_CATALOG_KEYS_H
#define KFL_CATALOG_KEYS_H

#include <stddef.h>
#include <stdint.h>

/* On disk: a number never changes its meaning. The store's row comes first of all. */
enum kfl__table {
    KFL_TABLE_STORE = 1,        /* () -> the store as a whole */
    KFL_TABLE_STAMP = 2,        /* () -> number of the transaction that wrote this tree */
    KFL_TABLE_COUNTERS = 3,     /* () -> what is handed out in rising order */
    KFL_TABLE_TOPIC_NAME = 4,   /* name -> topic id */
    KFL_TABLE_TOPIC_FOLDED = 5, /* name with each . as _ -> topic id */
    KFL_TABLE_TOPIC = 6,        /* topic id -> topic */
    KFL_TABLE_TOPIC_TRASH = 7,  /* topic id -> () */
    KFL_TABLE_FREE_SLOT = 8,    /* slot -> its last incarnation */
    KFL_TABLE_PARTITION = 9,    /* topic id, partition -> partition */
    KFL_TABLE_SEGMENT = 10,     /* topic id, partition, segment id -> segment */
    KFL_TABLE_LEFTOVER = 11,    /* the same key, for those that are MAKING or TRASH -> () */
    KFL_TABLE_OFFSET = 12,      /* group, topic id, partition -> committed offset */
    KFL_TABLE_OFFSET_OF = 13,   /* topic id, partition, group -> () */
    KFL_TABLE_HISTORY = 14,     /* number -> history entry */
    KFL_TABLE_GROUP = 15,       /* group -> group */
    KFL_TABLE_MEMBER = 16,      /* group, member id -> member */
};

/* A table, the longest name with its NUL, and a member id or three numbers of 8 bytes. */
#define KFL_KEY_MAX 320

struct kfl__key {
    size_t size;
    uint8_t bytes[KFL_KEY_MAX];
};

void kfl__key_begin(struct kfl__key *key, enum kfl__table table);
void kfl__key_add32(struct kfl__key *key, uint32_t number);
void kfl__key_add64(struct kfl__key *key, uint64_t number);
/* At most 255 bytes, without and with its NUL. */
void kfl__key_add_name(struct kfl__key *key, const char *name);
void kfl__key_add_name_and_end(struct kfl__key *key, const char *name);

uint32_t kfl__key_load32(const uint8_t *bytes);
uint64_t kfl__key_load64(const uint8_t *bytes);

/* For messages: the table's name and the key's bytes, printable ones as they are. */
#define KFL_KEY_TEXT_SIZE 160
void kfl__key_print(const void *bytes, size_t size, char out_text[KFL_KEY_TEXT_SIZE]);

#endif
