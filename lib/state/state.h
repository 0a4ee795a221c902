/* SPDX-License-Identifier: MIT */
/*
 * The state file: what is true now, mapped by every process of a store. Worthless after a reboot; bound to the
 * boot, the device, itself, the catalog's open number and the C library (R20). It grows by reserved chunks, each
 * mapped once and never moved or shrunk (R21).
 */
#ifndef KFL_STATE_STATE_H
#define KFL_STATE_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "state/presence.h"
#include "state/seat.h"
#include "state/slot.h"

/* First chunk: this header, then presence entries, then seats; each further chunk: slots. */
struct kfl__state_header {
    char magic[8];
    uint32_t format;
    uint32_t slot_size;
    uint8_t store_id[16];
    char boot_id[40];
    uint64_t device, inode, mount;
    uint64_t open_number;
    uint64_t fingerprint; /* C library version, word size, mutex layout */
    uint64_t hash;        /* of all before it: written once */
    /* live */
    _Alignas(128) _Atomic uint32_t slot_count; /* slots that exist in the file; grows */
    _Atomic uint32_t bad;                      /* 1: found unusable; rebuilt once nobody lives */
    _Alignas(128) _Atomic uint64_t topics_version; /* twice the catalog's, which each create, grow, alter, delete raises; odd: a change may be under way */
    _Alignas(128) _Atomic uint32_t helper_wake; /* the maintainer sleeps here */
    _Atomic uint32_t helper_sleeps;
    struct kfl__robust grow;                   /* who adds a chunk */
    struct kfl__robust catalog_writers, catalog_readers; /* gates: catalog/gate.h */
    _Atomic uint32_t life; /* one more for each process that attached while nobody lived: 1 after a rebuild */
    /* Consumers sleep on the word of their process (entry % 32); an append raises those whose bit stands in slot->sleepers. */
    struct {
        _Alignas(64) _Atomic uint32_t word;
        _Atomic uint32_t sleeps; /* somebody may sleep on the word; exchanged to 0 by who wakes */
    } arrivals[32];
};

struct kfl__state;

struct kfl__state_binding {
    uint8_t store_id[16];
    uint64_t open_number;
    uint32_t file_mode;
    /*
     * Some byte of LOCK is held (kfl__presence_others without entries): its file never left the
     * kernel's memory, so the file system was not mounted anew, and only the way to it may differ
     * (a bind mount, a service's own mount namespace). Then the mount is not compared.
     */
    bool held;
};

/*
 * Under LOCK byte 0. Attach to the state file in `directory`.
 *   rebuild  nobody lives, and either there is none or it does not belong to this boot: a new file is made (the old one is unlinked)
 * Returns 0; STATE_STALE (attach only: missing, other boot, other binding, bad): the caller decides; KFL_E_NO_SPACE, KFL_E_CORRUPT, …
 */
#define KFL_STATE_STALE 1
int kfl__state_attach(int directory, const struct kfl__state_binding *binding, struct kfl__state **out_state);
int kfl__state_rebuild(int directory, const struct kfl__state_binding *binding, struct kfl__state **out_state);
void kfl__state_detach(struct kfl__state *state); /* takes NULL */

struct kfl__state_header *kfl__state_header(struct kfl__state *state);
struct kfl__presence_entry *kfl__state_entries(struct kfl__state *state);
struct kfl__seat *kfl__state_seats(struct kfl__state *state); /* KFL_SEATS_MAX of them */
#define KFL_STATE_SLOTS_MAX 2047936
/*
 * The slot with this number, mapped for good; grows the file when nobody has used it yet. Fast path:
 * one load. The first use of a chunk makes system calls: not under an append lock.
 * NO_SPACE (nothing has changed), CORRUPT, BUSY (another process grows the file for too long),
 * UNSUPPORTED (a number from KFL_STATE_SLOTS_MAX on), NOMEM, IO.
 */
int kfl__state_slot(struct kfl__state *state, uint32_t number, struct kfl__slot **out_slot);
/* Mark it unusable (R18, R20). */
void kfl__state_condemn(struct kfl__state *state);

#endif
