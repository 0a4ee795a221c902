/* SPDX-License-Identifier: MIT */
/*
 * The file format of LMDB 0.9 (OpenLDAP, libraries/liblmdb/mdb.c), as far as check.c reads it.
 *
 * A file is two meta pages and two copy-on-write trees: the list of free pages and the rows. Each
 * transaction writes the meta page of its number's parity, so that the other one still tells of the
 * transaction before.
 */
#ifndef KFL_CATALOG_LMDB_FORMAT_H
#define KFL_CATALOG_LMDB_FORMAT_H

#include <stdint.h>

#define META_MAGIC 0xBEEFC0DEu
#define META_VERSION 1
#define PAGE_BRANCH 0x01
#define PAGE_LEAF 0x02
#define PAGE_OVERFLOW 0x04
#define PAGE_META 0x08
#define NODE_BIG 0x01      /* the value lies in overflow pages, here is their number */
#define FREE_FLAGS 0x4008  /* MDB_INTEGERKEY, and what LMDB keeps of MDB_NOSUBDIR */
#define NO_ROOT UINT64_MAX /* an empty tree */

struct page_head {
    uint64_t number;
    uint16_t pad;
    uint16_t flags;
    uint16_t lower; /* end of the node offsets */
    uint16_t upper; /* start of the nodes; lower and upper are the page count of an overflow run */
};
_Static_assert(sizeof(struct page_head) == 16, "LMDB's");

struct tree_head {
    uint32_t pad; /* of the free tree: the page size */
    uint16_t flags;
    uint16_t depth;
    uint64_t branch_pages;
    uint64_t leaf_pages;
    uint64_t overflow_pages;
    uint64_t entries;
    uint64_t root;
};
_Static_assert(sizeof(struct tree_head) == 48, "LMDB's");

struct meta {
    uint32_t magic;
    uint32_t version;
    uint64_t address;
    uint64_t map_size;
    struct tree_head free;
    struct tree_head rows;
    uint64_t last_page;
    uint64_t transaction;
};
_Static_assert(sizeof(struct meta) == 136, "LMDB's");
#define META_END (sizeof(struct page_head) + sizeof(struct meta))

struct node_head {
    uint16_t low, high; /* size of the value; of a branch the child's number, with flags on top */
    uint16_t flags;
    uint16_t key_size;
};
_Static_assert(sizeof(struct node_head) == 8, "LMDB's");

#endif
