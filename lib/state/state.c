/* SPDX-License-Identifier: MIT */
/*
 * The state file: what is true now, mapped by every process of a store.
 *
 * One file: the header, the presence entries, the seats of group members, then chunks of slots, of 64 slots first and doubling
 * up to 8192. Each chunk is reserved before anybody maps it for writing, since a store into a hole of
 * a full disk is a signal and not an error; its slots are initialised before slot_count tells of
 * them. A chunk is mapped in a process at its first use there, and stays where it is until detaching,
 * so a slot's address is good for as long as the state is. The file never shrinks.
 *
 * The header is written once and its hash last: a file whose maker died is no state file. What is
 * live behind the hash is not trusted further than the file's size allows.
 */
#include "state/state.h"

#include <gnu/libc-version.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/file_system.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/memory.h"

#define STATE_NAME "state"
#define STATE_MAGIC "KFLSTATE"
#define STATE_FORMAT 5
#define ENTRIES_PLACE 4096
#define SEATS_PLACE (ENTRIES_PLACE + KFL_PRESENCE_MAX * sizeof(struct kfl__presence_entry))
#define FIRST_CHUNK_SLOTS 64
#define DOUBLING_CHUNKS 8 /* 64, 128, … 8192 slots; each further chunk as the last of these */
#define LARGEST_CHUNK_SLOTS (FIRST_CHUNK_SLOTS << (DOUBLING_CHUNKS - 1))
#define DOUBLING_SLOTS (2 * LARGEST_CHUNK_SLOTS - FIRST_CHUNK_SLOTS)
#define CHUNKS_MAX 256
#define GROW_TIMEOUT_MS 10000

_Static_assert(sizeof(struct kfl__state_header) <= ENTRIES_PLACE, "the entries begin behind it");
_Static_assert(offsetof(struct kfl__state_header, hash) == 112, "no padding in what is compared");
_Static_assert(KFL_STATE_SLOTS_MAX ==
                   DOUBLING_SLOTS + (CHUNKS_MAX - DOUBLING_CHUNKS) * LARGEST_CHUNK_SLOTS,
               "what all chunks hold");

struct kfl__state {
    int fd;
    struct kfl__state_header *header; /* mapped together with the entries and the first chunk */
    _Atomic(struct kfl__slot *) chunks[CHUNKS_MAX];
};

static uint32_t chunk_slots(uint32_t chunk)
{
    return chunk < DOUBLING_CHUNKS ? (uint32_t)FIRST_CHUNK_SLOTS << chunk : LARGEST_CHUNK_SLOTS;
}

/* The number of its first slot. */
static uint32_t chunk_first(uint32_t chunk)
{
    return chunk < DOUBLING_CHUNKS
               ? ((uint32_t)FIRST_CHUNK_SLOTS << chunk) - FIRST_CHUNK_SLOTS
               : DOUBLING_SLOTS + (chunk - DOUBLING_CHUNKS) * LARGEST_CHUNK_SLOTS;
}

static uint32_t chunk_of(uint32_t number)
{
    if (number >= DOUBLING_SLOTS)
        return DOUBLING_CHUNKS + (number - DOUBLING_SLOTS) / LARGEST_CHUNK_SLOTS;
    return (uint32_t)__builtin_clz(FIRST_CHUNK_SLOTS) -
           (uint32_t)__builtin_clz(number + FIRST_CHUNK_SLOTS);
}

/* Chunks begin at pages, so that each is a map of its own. */
static size_t chunk_size(uint32_t chunk)
{
    return kfl__align_up((uint64_t)chunk_slots(chunk) * sizeof(struct kfl__slot),
                         kfl__map_page_size());
}

static int64_t chunk_place(uint32_t chunk)
{
    uint64_t head = SEATS_PLACE + KFL_SEATS_MAX * sizeof(struct kfl__seat);
    uint64_t place = kfl__align_up(head, kfl__map_page_size());
    for (uint32_t before = 0; before < chunk; before++)
        place += chunk_size(before);
    return (int64_t)place;
}

static size_t state_head_size(void)
{
    return (size_t)chunk_place(1);
}

/* What must be equal for two programs to understand each other's mutexes and maps. */
static uint64_t state_fingerprint(void)
{
    char text[128];
    int length = snprintf(text, sizeof text, "glibc %s mutex %zu word %zu slot %zu page %zu",
                          gnu_get_libc_version(), sizeof(pthread_mutex_t), sizeof(void *),
                          sizeof(struct kfl__slot), kfl__map_page_size());
    assert(length > 0 && (size_t)length < sizeof text);
    return kfl__hash64(text, (size_t)length);
}

/* "" where the kernel does not say: such a file belongs to no boot, and nobody attaches to it. */
static void state_boot_id(char boot_id[40])
{
    char text[64];
    memset(boot_id, 0, 40);
    if (kfl__file_read_text("/proc/sys/kernel/random/boot_id", text, sizeof text) != 0)
        return;
    size_t length = strcspn(text, "\n");
    memcpy(boot_id, text, length < 39 ? length : 39);
}

/* The part of the header that never changes, as it has to be for this file, boot and binding. */
static int state_expect_header(int fd, const struct kfl__state_binding *binding,
                         struct kfl__state_header *out_header)
{
    struct kfl__file_identity identity;
    int r = kfl__file_identity(fd, &identity);
    if (r < 0)
        return r;
    memset(out_header, 0, sizeof *out_header);
    memcpy(out_header->magic, STATE_MAGIC, sizeof out_header->magic);
    out_header->format = STATE_FORMAT;
    out_header->slot_size = sizeof(struct kfl__slot);
    memcpy(out_header->store_id, binding->store_id, sizeof out_header->store_id);
    state_boot_id(out_header->boot_id);
    out_header->device = identity.device;
    out_header->inode = identity.inode;
    out_header->mount = identity.mount;
    out_header->open_number = binding->open_number;
    out_header->fingerprint = state_fingerprint();
    return 0;
}

static uint64_t state_header_hash(const struct kfl__state_header *header)
{
    return kfl__hash64(header, offsetof(struct kfl__state_header, hash));
}

/* Slots are told of by whole chunks, all of which the file must hold. */
static bool state_holds_slots(int fd, uint32_t slot_count)
{
    if (slot_count < FIRST_CHUNK_SLOTS || slot_count > KFL_STATE_SLOTS_MAX)
        return false;
    uint32_t last = chunk_of(slot_count - 1);
    int64_t size;
    return chunk_first(last) + chunk_slots(last) == slot_count && kfl__file_size(fd, &size) == 0 &&
           chunk_place(last) + (int64_t)chunk_size(last) <= size;
}

/* 0, KFL_STATE_STALE, or an error. */
static int state_check_header(struct kfl__state *state, const struct kfl__state_binding *binding)
{
    const struct kfl__state_header *header = state->header;
    struct kfl__state_header expected;
    int r = state_expect_header(state->fd, binding, &expected);
    if (r < 0)
        return r;
    if (header->hash != state_header_hash(header) || expected.boot_id[0] == '\0')
        return KFL_STATE_STALE;
    if (binding->held)
        expected.mount = header->mount;
    if (memcmp(header, &expected, offsetof(struct kfl__state_header, hash)) != 0 ||
        atomic_load_explicit(&header->bad, memory_order_relaxed) != 0 ||
        !state_holds_slots(
            state->fd, atomic_load_explicit(&header->slot_count, memory_order_acquire)))
        return KFL_STATE_STALE;
    return 0;
}

static struct kfl__state *state_create(void)
{
    struct kfl__state *state = kfl__alloc(sizeof *state);
    if (state != NULL)
        state->fd = -1;
    return state;
}

/* The first map: header, entries and the first chunk. */
static int state_map_head(struct kfl__state *state)
{
    void *bytes;
    int r = kfl__map_open(state->fd, 0, state_head_size(), true, &bytes);
    if (r < 0)
        return r;
    state->header = bytes;
    atomic_init(&state->chunks[0], (struct kfl__slot *)(void *)((char *)bytes + chunk_place(0)));
    return 0;
}

int kfl__state_attach(int directory, const struct kfl__state_binding *binding,
                      struct kfl__state **out_state)
{
    struct kfl__state *state = state_create();
    if (state == NULL)
        return kfl__fail(KFL_E_NOMEM, "no memory for the state of a store");
    int r = kfl__file_open(directory, STATE_NAME, true, &state->fd);
    if (r != 0) {
        r = r == KFL_FILE_MISSING ? KFL_STATE_STALE : r;
        goto fail;
    }
    int64_t size;
    r = kfl__file_size(state->fd, &size);
    if (r == 0 && size < (int64_t)state_head_size())
        r = KFL_STATE_STALE;
    if (r != 0)
        goto fail;
    r = state_map_head(state);
    if (r == 0)
        r = state_check_header(state, binding);
    if (r != 0)
        goto fail;
    *out_state = state;
    return 0;
fail:
    kfl__state_detach(state);
    return r;
}

/* In a new file, which reads zeros: all that is live first, then what makes it a state file. */
static int state_fill_head(struct kfl__state *state, const struct kfl__state_binding *binding)
{
    struct kfl__state_header *header = state->header;
    struct kfl__state_header constant;
    int r = state_expect_header(state->fd, binding, &constant);
    if (r < 0)
        return r;
    r = kfl__robust_init(&header->grow);
    if (r == 0)
        r = kfl__robust_init(&header->catalog_writers);
    if (r == 0)
        r = kfl__robust_init(&header->catalog_readers);
    if (r < 0)
        return r;
    struct kfl__slot *slots = atomic_load_explicit(&state->chunks[0], memory_order_relaxed);
    for (uint32_t number = 0; number < FIRST_CHUNK_SLOTS; number++)
        kfl__slot_clear(&slots[number]);
    atomic_store_explicit(&header->slot_count, FIRST_CHUNK_SLOTS, memory_order_relaxed);
    atomic_store_explicit(&header->life, 1, memory_order_relaxed);
    memcpy(header, &constant, offsetof(struct kfl__state_header, hash));
    KFL_STEP("state.publish");
    __atomic_store_n(&header->hash, state_header_hash(&constant), __ATOMIC_RELEASE);
    return 0;
}

int kfl__state_rebuild(int directory, const struct kfl__state_binding *binding,
                       struct kfl__state **out_state)
{
    struct kfl__state *state = state_create();
    if (state == NULL)
        return kfl__fail(KFL_E_NOMEM, "no memory for the state of a store");
    int r = kfl__file_unlink(directory, STATE_NAME);
    if (r < 0)
        goto fail;
    r = kfl__file_create(directory, STATE_NAME, binding->file_mode, &state->fd);
    if (r == KFL_FILE_EXISTS)
        r = kfl__fail(KFL_E_EXISTS, STATE_NAME " was made by somebody else: is LOCK intact?");
    if (r < 0)
        goto fail;
    /* It is mapped for writing on every file system: what was reserved must do for ever. */
    kfl__file_system_write_in_place(state->fd);
    r = kfl__file_reserve(state->fd, 0, (int64_t)state_head_size());
    if (r == 0)
        r = state_map_head(state);
    if (r == 0)
        r = state_fill_head(state, binding);
    if (r < 0)
        goto fail_unlink;
    *out_state = state;
    return 0;
fail_unlink:;
    /* A part of the disk may have been reserved; what went wrong first is what is told. */
    struct kfl__words words;
    kfl__error_save(&words);
    (void)kfl__file_unlink(directory, STATE_NAME);
    kfl__error_restore(&words);
fail:
    kfl__state_detach(state);
    return r;
}

void kfl__state_detach(struct kfl__state *state)
{
    if (state == NULL)
        return;
    for (uint32_t chunk = 1; chunk < CHUNKS_MAX; chunk++)
        kfl__map_close(atomic_load_explicit(&state->chunks[chunk], memory_order_relaxed),
                       chunk_size(chunk));
    kfl__map_close(state->header, state_head_size());
    kfl__file_close(state->fd);
    kfl__free(state);
}

struct kfl__state_header *kfl__state_header(struct kfl__state *state)
{
    return state->header;
}

struct kfl__presence_entry *kfl__state_entries(struct kfl__state *state)
{
    return (struct kfl__presence_entry *)(void *)((char *)state->header + ENTRIES_PLACE);
}

struct kfl__seat *kfl__state_seats(struct kfl__state *state)
{
    return (struct kfl__seat *)(void *)((char *)state->header + SEATS_PLACE);
}

void kfl__state_condemn(struct kfl__state *state)
{
    atomic_store_explicit(&state->header->bad, 1, memory_order_relaxed);
}

/* Two threads may have mapped a chunk at once: one map is kept. */
static struct kfl__slot *state_keep_chunk(struct kfl__state *state, uint32_t chunk, void *bytes)
{
    struct kfl__slot *kept = NULL;
    if (atomic_compare_exchange_strong_explicit(&state->chunks[chunk], &kept, bytes,
                                                memory_order_acq_rel, memory_order_acquire))
        return bytes;
    kfl__map_close(bytes, chunk_size(chunk));
    return kept;
}

static int state_map_chunk(struct kfl__state *state, uint32_t chunk, void **out_bytes)
{
    return kfl__map_open(state->fd, chunk_place(chunk), chunk_size(chunk), true, out_bytes);
}

static int state_fail_slots(uint32_t slot_count)
{
    return kfl__fail(KFL_E_CORRUPT,
                     "the state file cannot hold the %" PRIu32 " slots that it tells of: "
                     "close the store in all processes, the next open makes a new one",
                     slot_count);
}

/* Add chunks until the slot is there. A chunk that a dead grower left half made is made again. */
static int state_grow(struct kfl__state *state, uint32_t number)
{
    _Atomic uint32_t *slot_count = &state->header->slot_count;
    uint32_t count;
    while ((count = atomic_load_explicit(slot_count, memory_order_relaxed)) <= number) {
        if (!state_holds_slots(state->fd, count))
            return state_fail_slots(count);
        uint32_t chunk = chunk_of(count);
        int r = kfl__file_reserve(state->fd, chunk_place(chunk), (int64_t)chunk_size(chunk));
        if (r < 0)
            return r;
        KFL_STEP("state.grow");
        void *bytes;
        r = state_map_chunk(state, chunk, &bytes);
        if (r < 0)
            return r;
        struct kfl__slot *slots = bytes;
        for (uint32_t index = 0; index < chunk_slots(chunk); index++)
            kfl__slot_clear(&slots[index]);
        KFL_STEP("state.grown");
        atomic_store_explicit(slot_count, count + chunk_slots(chunk), memory_order_release);
        (void)state_keep_chunk(state, chunk, bytes);
    }
    return 0;
}

static int state_grow_alone(struct kfl__state *state, uint32_t number)
{
    struct kfl__robust *grow = &state->header->grow;
    int r = kfl__robust_lock(grow, KFL_RANK_LEAF, kfl__clock_deadline_ns(GROW_TIMEOUT_MS));
    if (r < 0)
        return r;
    if (r == KFL_LOCK_BUSY) {
        char holder[64];
        kfl__presence_describe(kfl__robust_owner(grow), holder, sizeof holder);
        return kfl__fail(KFL_E_BUSY, "the state file is being grown by %s, for more than %d s",
                         holder, GROW_TIMEOUT_MS / 1000);
    }
    /* Only slot_count says what is there, and it was raised or it was not: nothing to mend. */
    if (r == KFL_LOCK_OWNER_DIED)
        kfl__robust_mended(grow);
    r = state_grow(state, number);
    kfl__robust_unlock(grow, KFL_RANK_LEAF);
    return r;
}

/* The first use of a chunk in this process. */
static int state_find_chunk(struct kfl__state *state, uint32_t number, struct kfl__slot **out_slots)
{
    assert(kfl__lock_highest_rank() < (int)KFL_RANK_APPEND);
    if (number >= KFL_STATE_SLOTS_MAX)
        return kfl__fail(KFL_E_UNSUPPORTED, "slot %" PRIu32 ": a store has at most %d partitions",
                         number, KFL_STATE_SLOTS_MAX);
    int r;
    const _Atomic uint32_t *slot_count = &state->header->slot_count;
    if (number >= atomic_load_explicit(slot_count, memory_order_acquire)) {
        r = state_grow_alone(state, number);
        if (r < 0)
            return r;
    }
    uint32_t count = atomic_load_explicit(slot_count, memory_order_acquire);
    if (number >= count || !state_holds_slots(state->fd, count))
        return state_fail_slots(count);
    void *bytes;
    r = state_map_chunk(state, chunk_of(number), &bytes);
    if (r < 0)
        return r;
    *out_slots = state_keep_chunk(state, chunk_of(number), bytes);
    return 0;
}

int kfl__state_slot(struct kfl__state *state, uint32_t number, struct kfl__slot **out_slot)
{
    uint32_t chunk = chunk_of(number);
    struct kfl__slot *slots = NULL;
    if (KFL_LIKELY(chunk < CHUNKS_MAX))
        slots = atomic_load_explicit(&state->chunks[chunk], memory_order_acquire);
    if (KFL_UNLIKELY(slots == NULL)) {
        int r = state_find_chunk(state, number, &slots);
        if (r < 0)
            return r;
    }
    *out_slot = &slots[number - chunk_first(chunk)];
    return 0;
}
