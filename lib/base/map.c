/* SPDX-License-Identifier: MIT */
/*
 * Maps of files.
 *
 * A page of a map that cannot be read raises SIGBUS when it is touched. Whoever is about to touch
 * pages for the first time has them populated here instead, and gets an answer.
 */
#include "base/map.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/file.h"

size_t kfl__map_page_size(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

int kfl__map_open(int fd, int64_t place, size_t size, bool writable, void **out_bytes)
{
    assert(size > 0 && place >= 0 && (uint64_t)place % kfl__map_page_size() == 0);
    int errnum = KFL_FAULT("map.open");
    if (errnum == 0) {
        void *bytes =
            mmap(NULL, size, PROT_READ | (writable ? PROT_WRITE : 0), MAP_SHARED, fd, place);
        if (bytes != MAP_FAILED) {
            *out_bytes = bytes;
            return 0;
        }
        errnum = errno;
    }
    return kfl__file_fail(0, errnum, fd,
                          errnum == ENOMEM ? "map (see vm.max_map_count, ulimit -v)" : "map");
}

void kfl__map_close(void *bytes, size_t size)
{
    if (bytes == NULL)
        return;
    int r = munmap(bytes, size);
    assert(r == 0);
    (void)r;
}

static int populate(const void *bytes, size_t size, int advice)
{
    assert(size > 0);
    uintptr_t page_mask = kfl__map_page_size() - 1;
    uintptr_t begin = (uintptr_t)bytes & ~page_mask;
    uintptr_t end = ((uintptr_t)bytes + size + page_mask) & ~page_mask;
    int errnum = KFL_FAULT("map.populate");
    while (errnum == 0 && madvise((void *)begin, end - begin, advice) < 0) {
        if (errno != EINTR)
            errnum = errno;
    }
    switch (errnum) {
    case 0:
    case EINVAL: /* A kernel older than the advice: the pages come when they are touched. */
        return 0;
    case EFAULT:
    case EHWPOISON:
        return KFL_MAP_BAD;
    default:
        return kfl__fail_errno(0, errnum, "cannot populate %zu bytes of a map", size);
    }
}

int kfl__map_populate_read(const void *bytes, size_t size)
{
    return populate(bytes, size, MADV_POPULATE_READ);
}

int kfl__map_populate_write(void *bytes, size_t size)
{
    return populate(bytes, size, MADV_POPULATE_WRITE);
}

void kfl__map_cold(const void *bytes, size_t size)
{
    (void)madvise((void *)(uintptr_t)bytes, size, MADV_COLD);
}

void kfl__map_let_go(void *bytes, size_t size)
{
    uintptr_t page = kfl__map_page_size(), from = ((uintptr_t)bytes + page - 1) / page * page,
              to = ((uintptr_t)bytes + size) / page * page;
    if (from < to)
        (void)madvise((void *)from, to - from, MADV_DONTNEED); /* Not done, it only takes longer. */
}

void kfl__map_expect_sequential(void *bytes, size_t size)
{
    madvise(bytes, size, MADV_SEQUENTIAL); /* Only advice: what it answers changes nothing. */
}

int kfl__map_fork_page(void **out_page)
{
    size_t size = kfl__map_page_size();
    void *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        return kfl__fail_errno(0, errno, "cannot map a page that notices fork()");
    if (madvise(page, size, MADV_WIPEONFORK) < 0) {
        int errnum = errno;
        munmap(page, size);
        return kfl__fail_errno(KFL_E_UNSUPPORTED, errnum, "cannot map a page that notices fork()");
    }
    *out_page = page;
    return 0;
}
