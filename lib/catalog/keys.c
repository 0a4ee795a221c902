/* SPDX-License-Identifier: MIT */
/* Builds, takes apart and prints the keys of rows. Pure: no LMDB here. */
#include "catalog/keys.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"

static const char *const table_names[] = {
    [KFL_TABLE_STORE] = "store",
    [KFL_TABLE_STAMP] = "stamp",
    [KFL_TABLE_COUNTERS] = "counters",
    [KFL_TABLE_TOPIC_NAME] = "topic-name",
    [KFL_TABLE_TOPIC_FOLDED] = "topic-folded",
    [KFL_TABLE_TOPIC] = "topic",
    [KFL_TABLE_TOPIC_TRASH] = "topic-trash",
    [KFL_TABLE_FREE_SLOT] = "free-slot",
    [KFL_TABLE_PARTITION] = "partition",
    [KFL_TABLE_SEGMENT] = "segment",
    [KFL_TABLE_LEFTOVER] = "leftover",
    [KFL_TABLE_OFFSET] = "offset",
    [KFL_TABLE_OFFSET_OF] = "offset-of",
    [KFL_TABLE_HISTORY] = "history",
    [KFL_TABLE_GROUP] = "group",
    [KFL_TABLE_MEMBER] = "member",
};

void kfl__key_begin(struct kfl__key *key, enum kfl__table table)
{
    key->bytes[0] = (uint8_t)table;
    key->size = 1;
}

void kfl__key_add32(struct kfl__key *key, uint32_t number)
{
    assert(key->size + sizeof number <= sizeof key->bytes);
    uint32_t big_endian = __builtin_bswap32(number);
    memcpy(key->bytes + key->size, &big_endian, sizeof big_endian);
    key->size += sizeof big_endian;
}

void kfl__key_add64(struct kfl__key *key, uint64_t number)
{
    assert(key->size + sizeof number <= sizeof key->bytes);
    uint64_t big_endian = __builtin_bswap64(number);
    memcpy(key->bytes + key->size, &big_endian, sizeof big_endian);
    key->size += sizeof big_endian;
}

void kfl__key_add_name(struct kfl__key *key, const char *name)
{
    size_t size = strlen(name);
    assert(size > 0 && size <= 255 && key->size + size <= sizeof key->bytes);
    memcpy(key->bytes + key->size, name, size);
    key->size += size;
}

void kfl__key_add_name_and_end(struct kfl__key *key, const char *name)
{
    kfl__key_add_name(key, name);
    assert(key->size < sizeof key->bytes);
    key->bytes[key->size++] = 0;
}

uint32_t kfl__key_load32(const uint8_t *bytes)
{
    uint32_t big_endian;
    memcpy(&big_endian, bytes, sizeof big_endian);
    return __builtin_bswap32(big_endian);
}

uint64_t kfl__key_load64(const uint8_t *bytes)
{
    uint64_t big_endian;
    memcpy(&big_endian, bytes, sizeof big_endian);
    return __builtin_bswap64(big_endian);
}

void kfl__key_print(const void *bytes, size_t size, char out_text[KFL_KEY_TEXT_SIZE])
{
    const uint8_t *key = bytes;
    uint8_t table = size > 0 ? key[0] : 0;
    const char *name = NULL;
    if (table < sizeof table_names / sizeof table_names[0])
        name = table_names[table];

    size_t used = (size_t)snprintf(out_text, KFL_KEY_TEXT_SIZE, "%s", name == NULL ? "?" : name);
    for (size_t i = name == NULL ? 0 : 1; i < size && used + 8 < KFL_KEY_TEXT_SIZE; i++) {
        bool printable = key[i] > ' ' && key[i] < 0x7f && key[i] != '\\';
        const char *lead = i == 1 ? " " : "";
        used += (size_t)snprintf(out_text + used, KFL_KEY_TEXT_SIZE - used,
                                 printable ? "%s%c" : "%s\\%02x", lead, key[i]);
    }
    assert(used < KFL_KEY_TEXT_SIZE);
}
