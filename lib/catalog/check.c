/* SPDX-License-Identifier: MIT */
/*
 * The catalog's file, read and checked without trust before LMDB maps it: LMDB follows whatever its
 * pages say, and a page has no checksum of its own.
 *
 * What holds afterwards: each page of the newest trees is reached exactly once and is not free;
 * nodes tile their page; keys rise across the tree; counts agree; each row passes its hash; the
 * stamp row was written by the transaction that the meta page names.
 */
#include "catalog/check.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "catalog/environment.h"
#include "catalog/lmdb_format.h"
#include "catalog/rows.h"

#define DEPTH_MAX 32         /* LMDB's cursor stack */
#define KEY_MAX_SIZE 511     /* LMDB's, as it is built by default */
#define PAGE_SIZE_USUAL 4096 /* where no meta page tells */
#define PAGE_SIZE_MAX 32768
#define FIRST_COMMIT_PAGES 8 /* at most, with the meta pages */
#define NEVER_WRITTEN_MAX ((uint64_t)1 << 20) /* free pages behind the end of the file: 4 GiB */

struct span {
    const uint8_t *bytes; /* NULL: no bound */
    size_t size;
};

struct check {
    int fd;
    const char *path;
    uint64_t file_size;
    uint32_t page_size;
    struct meta meta;     /* the newest */
    uint64_t *seen;       /* a bit a page: reached or free */
    uint8_t *pages;       /* one a level of the tree */
    uint16_t *node_sizes; /* by offset / 2 in the page at hand */
    uint8_t *big;         /* a value out of overflow pages */
    size_t big_size;
    uint64_t highest_free;
    bool has_store;
    bool has_stamp;
    struct tree_head counted; /* what the walk of this tree has met */
    bool is_free_tree;
};

static int damaged(const struct check *check, uint64_t page, const char *what)
{
    kfl__fail(KFL_E_CORRUPT, "catalog %s: page %" PRIu64 " %s" KFL_CATALOG_REMEDY, check->path,
              page, what);
    return kfl__fail_in(KFL_E_CORRUPT, check->path);
}

static int read_bytes(const struct check *check, uint64_t place, void *bytes, size_t size)
{
    size_t got = 0;
    int r = kfl__file_read_at(check->fd, bytes, size, (int64_t)place, &got);
    if (r < 0)
        return r;
    return got == size ? 0 : damaged(check, place / check->page_size, "ends too early");
}

/* ---- meta pages ---- */

enum meta_kind { META_BAD, META_ZERO, META_EMPTY, META_USED };

static enum meta_kind meta_decode(const uint8_t *page, struct meta *out_meta)
{
    static const uint8_t zeros[META_END];
    if (memcmp(page, zeros, sizeof zeros) == 0)
        return META_ZERO;
    struct page_head head;
    memcpy(&head, page, sizeof head);
    memcpy(out_meta, page + sizeof head, sizeof *out_meta);
    uint32_t page_size = out_meta->free.pad;
    if (head.flags != PAGE_META || out_meta->magic != META_MAGIC || out_meta->address != 0 ||
        out_meta->free.flags != FREE_FLAGS || out_meta->rows.flags != 0 || page_size < 512 ||
        page_size > PAGE_SIZE_MAX || (page_size & (page_size - 1)) != 0)
        return META_BAD;
    return out_meta->transaction == 0 ? META_EMPTY : META_USED;
}

/*
 * A file of at most two pages: its creator died before the first commit if they hold nothing else
 * than what LMDB begins with.
 */
static int check_short_file(struct check *check)
{
    uint8_t page[META_END];
    for (uint64_t place = 0; place < check->file_size; place += check->page_size) {
        uint64_t rest = check->file_size - place;
        size_t size = rest < sizeof page ? (size_t)rest : sizeof page;
        memset(page, 0, sizeof page);
        int r = read_bytes(check, place, page, size);
        if (r < 0)
            return r;
        struct meta meta;
        enum meta_kind kind = meta_decode(page, &meta);
        if (kind != META_ZERO && (kind != META_EMPTY || size < sizeof page))
            return damaged(check, place / check->page_size,
                           "is the last one: the file is cut short");
    }
    return KFL_CHECK_UNFINISHED;
}

static int check_metas(struct check *check)
{
    uint8_t page[META_END];
    struct meta metas[2];
    enum meta_kind kinds[2];
    check->page_size = PAGE_SIZE_USUAL;
    for (uint32_t i = 0; i < 2; i++) {
        memset(page, 0, sizeof page);
        int r = 0;
        if (check->file_size >= i * check->page_size + META_END)
            r = read_bytes(check, (uint64_t)i * check->page_size, page, sizeof page);
        if (r < 0)
            return r;
        kinds[i] = meta_decode(page, &metas[i]);
        if (i == 0 && (kinds[0] == META_EMPTY || kinds[0] == META_USED))
            check->page_size = metas[0].free.pad;
    }
    if (check->file_size <= 2 * (uint64_t)check->page_size)
        return check_short_file(check);
    /*
     * The first commit brings both down before it writes one anew: with one of them missing and the
     * other as it began, a power cut came before any commit. A file with records is larger.
     */
    if (check->file_size <= FIRST_COMMIT_PAGES * (uint64_t)check->page_size &&
        (kinds[0] == META_ZERO || kinds[1] == META_ZERO) &&
        (kinds[0] == META_ZERO || kinds[0] == META_EMPTY) &&
        (kinds[1] == META_ZERO || kinds[1] == META_EMPTY))
        return KFL_CHECK_UNFINISHED;
    for (uint32_t i = 0; i < 2; i++) {
        if (kinds[i] != META_EMPTY && kinds[i] != META_USED)
            return damaged(check, i, "is no meta page");
        if (metas[i].free.pad != check->page_size)
            return damaged(check, i, "has another page size");
    }
    if (metas[0].version != metas[1].version)
        return damaged(check, 1, "has another version than page 0");
    if (metas[0].version > META_VERSION) {
        kfl__fail(KFL_E_VERSION, "catalog %s: LMDB data version %" PRIu32 ", and this one knows %d",
                  check->path, metas[0].version, META_VERSION);
        return kfl__fail_in(KFL_E_VERSION, check->path);
    }
    if (metas[0].version != META_VERSION)
        return damaged(check, 0, "has an impossible version");
    if (kinds[0] == META_EMPTY && kinds[1] == META_EMPTY)
        return KFL_CHECK_UNFINISHED;

    uint64_t even = metas[0].transaction;
    uint64_t odd = metas[1].transaction;
    if (even % 2 != 0 || odd % 2 != 1 || (even + 1 != odd && odd + 1 != even))
        return damaged(check, even > odd ? 0 : 1, "names an impossible transaction");
    check->meta = metas[even > odd ? 0 : 1];
    return 0;
}

/* ---- pages ---- */

static int mark(struct check *check, uint64_t page)
{
    if (page < 2 || page > check->meta.last_page)
        return damaged(check, page, "is named but is none of the file's");
    uint64_t bit = (uint64_t)1 << (page % 64);
    if ((check->seen[page / 64] & bit) != 0)
        return damaged(check, page, "is used twice, or used and free");
    check->seen[page / 64] |= bit;
    return 0;
}

static int read_page(struct check *check, uint64_t number, uint8_t *page,
                     struct page_head *out_head)
{
    int r = mark(check, number);
    if (r == 0)
        r = read_bytes(check, number * check->page_size, page, check->page_size);
    if (r < 0)
        return r;
    memcpy(out_head, page, sizeof *out_head);
    return out_head->number == number ? 0 : damaged(check, number, "bears another number");
}

/* Offset and size of each node: together they fill the page from `upper` to its end, without a gap.
 */
static int check_tiling(struct check *check, uint64_t number, const uint8_t *page,
                        const struct page_head *head)
{
    uint32_t size = check->page_size;
    if (head->lower <= sizeof *head || head->lower % 2 != 0 || head->lower > head->upper ||
        head->upper > size || head->upper % 2 != 0)
        return damaged(check, number, "has impossible bounds");
    uint32_t count = (head->lower - (uint32_t)sizeof *head) / 2;
    memset(check->node_sizes, 0, size);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t offset = kfl__load16(page + sizeof *head + 2 * i);
        if (offset < head->upper || offset % 2 != 0 || offset + sizeof(struct node_head) > size)
            return damaged(check, number, "has a node outside its bounds");
        struct node_head node;
        memcpy(&node, page + offset, sizeof node);
        uint64_t node_size = sizeof node + node.key_size;
        if (head->flags == PAGE_LEAF)
            node_size += (node.flags & NODE_BIG) != 0 ? sizeof(uint64_t)
                                                      : node.low | (uint32_t)node.high << 16;
        node_size = kfl__align_up(node_size, 2);
        if (node_size > size - offset)
            return damaged(check, number, "has a node that ends behind the page");
        check->node_sizes[offset / 2] = (uint16_t)node_size;
    }
    uint32_t place = head->upper;
    for (; place < size && check->node_sizes[place / 2] != 0; count--)
        place += check->node_sizes[place / 2];
    return place == size && count == 0 ? 0 : damaged(check, number, "has nodes that overlap");
}

static int compare_keys(const struct check *check, struct span a, struct span b)
{
    if (check->is_free_tree) {
        uint64_t x = kfl__load64(a.bytes);
        uint64_t y = kfl__load64(b.bytes);
        return (x > y) - (x < y);
    }
    size_t size = a.size < b.size ? a.size : b.size;
    int order = memcmp(a.bytes, b.bytes, size);
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

/* ---- values ---- */

/* A value in pages of its own. */
static int read_big(struct check *check, uint64_t number, size_t size, const uint8_t **out_bytes)
{
    uint64_t count = (sizeof(struct page_head) - 1 + size) / check->page_size + 1;
    if (number > check->meta.last_page || count > check->meta.last_page - number + 1)
        return damaged(check, number, "begins a value that ends behind the file");
    for (uint64_t i = 0; i < count; i++) {
        int r = mark(check, number + i);
        if (r < 0)
            return r;
    }
    struct page_head head;
    uint64_t place = number * check->page_size;
    int r = read_bytes(check, place, &head, sizeof head);
    if (r < 0)
        return r;
    if (head.number != number || head.flags != PAGE_OVERFLOW ||
        (head.lower | (uint32_t)head.upper << 16) != count ||
        place + sizeof head + size > check->file_size)
        return damaged(check, number, "is not the value it should be");
    if (size > check->big_size) {
        uint8_t *bigger = kfl__realloc(check->big, size);
        if (bigger == NULL)
            return kfl__fail(KFL_E_NOMEM, "catalog %s: a value of %zu bytes", check->path, size);
        check->big = bigger;
        check->big_size = size;
    }
    check->counted.overflow_pages += count;
    *out_bytes = check->big;
    return read_bytes(check, place + sizeof head, check->big, size);
}

/* A count, and as many numbers of free pages, falling. */
static int check_free_list(struct check *check, uint64_t page, struct span key, struct span value)
{
    uint64_t transaction = kfl__load64(key.bytes);
    if (transaction == 0 || transaction > check->meta.transaction ||
        value.size < sizeof(uint64_t) || value.size % sizeof(uint64_t) != 0)
        return damaged(check, page, "has an impossible list of free pages");
    uint64_t count = kfl__load64(value.bytes);
    if (count > value.size / sizeof(uint64_t) - 1)
        return damaged(check, page, "has a list of free pages that is cut short");
    uint64_t before = UINT64_MAX;
    for (uint64_t i = 1; i <= count; i++) {
        uint64_t number = kfl__load64(value.bytes + i * sizeof number);
        if (number >= before)
            return damaged(check, page, "has a list of free pages out of order");
        int r = mark(check, number);
        if (r < 0)
            return r;
        before = number;
        if (number > check->highest_free)
            check->highest_free = number;
    }
    return 0;
}

static int check_row(struct check *check, uint64_t page, struct span key, struct span value)
{
    struct kfl__row row;
    int r = kfl__row_verify(key.bytes, key.size, value.bytes, value.size, check->path, &row);
    if (r < 0)
        return r;
    if (key.size == 1 && key.bytes[0] == KFL_TABLE_STORE) {
        struct kfl__store_head head;
        if (row.size < offsetof(struct kfl__store_head, format) + sizeof head.format)
            return damaged(check, page, "has a store row that is too short");
        uint32_t format = kfl__load32(row.bytes + offsetof(struct kfl__store_head, format));
        if (format > KFL_CATALOG_FORMAT) {
            kfl__fail(KFL_E_VERSION, "catalog %s: format %" PRIu32 ", and this library knows %d",
                      check->path, format, KFL_CATALOG_FORMAT);
            return kfl__fail_in(KFL_E_VERSION, check->path);
        }
        check->has_store = true;
    }
    if (key.size == 1 && key.bytes[0] == KFL_TABLE_STAMP) {
        struct kfl__stamp_head head;
        if (row.size != sizeof head)
            return damaged(check, page, "has a stamp row of another size");
        memcpy(&head, row.bytes, sizeof head);
        if (head.transaction != check->meta.transaction)
            return damaged(check, page, "belongs to another transaction than the meta page names");
        check->has_stamp = true;
    }
    return 0;
}

/* ---- trees ---- */

static int check_leaf_node(struct check *check, uint64_t number, const uint8_t *at, struct span key)
{
    struct node_head node;
    memcpy(&node, at, sizeof node);
    struct span value = {at + sizeof node + node.key_size, node.low | (size_t)node.high << 16};
    if ((node.flags & ~NODE_BIG) != 0)
        return damaged(check, number, "has a node of an unknown kind");
    if ((node.flags & NODE_BIG) != 0) {
        int r = read_big(check, kfl__load64(value.bytes), value.size, &value.bytes);
        if (r < 0)
            return r;
    }
    check->counted.entries++;
    return check->is_free_tree ? check_free_list(check, number, key, value)
                               : check_row(check, number, key, value);
}

/* Keys of the subtree lie in [low, high). The first key of a branch is not used: `low` stands for
 * it. */
static int check_page(struct check *check, uint64_t number, uint32_t level, uint32_t depth,
                      struct span low, struct span high)
{
    assert(level < depth);
    uint8_t *page = check->pages + (size_t)level * check->page_size;
    struct page_head head;
    int r = read_page(check, number, page, &head);
    if (r < 0)
        return r;
    bool is_leaf = level + 1 == depth;
    if (head.flags != (is_leaf ? PAGE_LEAF : PAGE_BRANCH))
        return damaged(check, number, "is of another kind than its place in the tree");
    r = check_tiling(check, number, page, &head);
    if (r < 0)
        return r;
    check->counted.branch_pages += !is_leaf;
    check->counted.leaf_pages += is_leaf;

    uint32_t count = (head.lower - (uint32_t)sizeof head) / 2;
    if (!is_leaf && !check->is_free_tree && count < 2)
        return damaged(check, number, "is a branch with a single child");
    struct span before = low;
    struct node_head node = {0};
    uint64_t child = 0;
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *at = page + kfl__load16(page + sizeof head + 2 * i);
        memcpy(&node, at, sizeof node);
        struct span key = {at + sizeof node, node.key_size};
        bool is_implied = i == 0 && !is_leaf;
        if (!is_implied) {
            if (key.size == 0 || key.size > KEY_MAX_SIZE ||
                (check->is_free_tree && key.size != sizeof(uint64_t)))
                return damaged(check, number, "has a key of an impossible size");
            int order = before.bytes == NULL ? 1 : compare_keys(check, key, before);
            bool may_equal = i == 0; /* a leaf's first key may be its lower bound */
            if (order < 0 || (order == 0 && !may_equal) ||
                (high.bytes != NULL && compare_keys(check, key, high) >= 0))
                return damaged(check, number, "has keys out of order");
        }
        if (is_leaf) {
            r = check_leaf_node(check, number, at, key);
        } else if (i > 0) {
            r = check_page(check, child, level + 1, depth, before, key);
        }
        if (r < 0)
            return r;
        if (!is_leaf)
            child = node.low | (uint64_t)node.high << 16 | (uint64_t)node.flags << 32;
        if (!is_implied)
            before = key;
    }
    return is_leaf ? 0 : check_page(check, child, level + 1, depth, before, high);
}

static int check_tree(struct check *check, const struct tree_head *tree, bool is_free_tree)
{
    check->is_free_tree = is_free_tree;
    check->counted = (struct tree_head){.root = tree->root};
    uint64_t meta_page = check->meta.transaction % 2;
    if (tree->depth > DEPTH_MAX || (tree->depth == 0) != (tree->root == NO_ROOT))
        return damaged(check, meta_page, "has an impossible root");
    if (tree->depth > 0) {
        kfl__free(check->pages);
        check->pages = kfl__alloc((size_t)tree->depth * check->page_size);
        if (check->pages == NULL)
            return kfl__fail(KFL_E_NOMEM, "catalog %s", check->path);
        struct span unbounded = {NULL, 0};
        int r = check_page(check, tree->root, 0, tree->depth, unbounded, unbounded);
        if (r < 0)
            return r;
    }
    const struct tree_head *counted = &check->counted;
    if (counted->branch_pages != tree->branch_pages || counted->leaf_pages != tree->leaf_pages ||
        counted->overflow_pages != tree->overflow_pages || counted->entries != tree->entries)
        return damaged(check, meta_page, "counts other pages or rows than there are");
    return 0;
}

static int check_trees(struct check *check)
{
    uint64_t file_pages = check->file_size / check->page_size;
    uint64_t last = check->meta.last_page;
    uint64_t meta_page = check->meta.transaction % 2;
    if (last < 2 || last >= file_pages + NEVER_WRITTEN_MAX)
        return damaged(check, meta_page, "names an impossible last page");
    check->seen = kfl__alloc_array((size_t)(last / 64 + 1), sizeof *check->seen);
    check->node_sizes = kfl__alloc(check->page_size);
    if (check->seen == NULL || check->node_sizes == NULL)
        return kfl__fail(KFL_E_NOMEM, "catalog %s", check->path);
    int r = check_tree(check, &check->meta.rows, false);
    if (r == 0)
        r = check_tree(check, &check->meta.free, true);
    if (r < 0)
        return r;
    /* The file may end before the last page only if that was used and freed in one transaction. */
    if (last >= file_pages && last > check->highest_free)
        return damaged(check, meta_page, "names a last page behind the end of the file");
    if (!check->has_store || !check->has_stamp)
        return damaged(check, meta_page, "leads to a tree without store and stamp rows");
    return 0;
}

int kfl__catalog_check(int fd, const char *path)
{
    struct check check = {.fd = fd, .path = path};
    int64_t file_size = 0;
    int r = kfl__file_size(fd, &file_size);
    if (r < 0)
        return r;
    check.file_size = (uint64_t)file_size;
    r = check_metas(&check);
    if (r == 0)
        r = check_trees(&check);
    kfl__free(check.seen);
    kfl__free(check.node_sizes);
    kfl__free(check.pages);
    kfl__free(check.big);
    return r;
}
