/* SPDX-License-Identifier: MIT */
/* What the benchmarks ask of the machine: time, faults, files, maps, bytes to write. */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

int64_t bench_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t bench_faults(void)
{
    struct rusage usage;
    getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_minflt + usage.ru_majflt;
}

int64_t bench_device_written(void)
{
    char *path = bench_path("");
    struct stat status;
    char stat_path[64];
    long long sectors = -1;
    if (stat(path, &status) < 0)
        bench_die("%s: %s", path, strerror(errno));
    free(path);
    snprintf(stat_path, sizeof stat_path, "/sys/dev/block/%u:%u/stat", major(status.st_dev),
             minor(status.st_dev));
    FILE *file = fopen(stat_path, "re");
    if (file == NULL)
        return -1;
    if (fscanf(file, "%*s %*s %*s %*s %*s %*s %lld", &sectors) != 1)
        sectors = -1;
    fclose(file);
    return sectors < 0 ? -1 : (int64_t)sectors * 512;
}

void bench_recycle_memory(size_t size)
{
    void *bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (bytes == MAP_FAILED)
        return;
    madvise(bytes, size, MADV_POPULATE_WRITE);
    munmap(bytes, size);
}

static int machine_remove_one(const char *path, const struct stat *status, int kind,
                              struct FTW *walk)
{
    (void)status;
    (void)kind;
    (void)walk;
    return remove(path);
}

void bench_remove(const char *path)
{
    if (path != NULL)
        nftw(path, machine_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void *bench_map(const char *path, size_t size, bool populate)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        bench_die("%s: %s", path, strerror(errno));
    int r = posix_fallocate(fd, 0, (off_t)size);
    if (r != 0)
        bench_die("%s: cannot reserve %zu bytes: %s", path, size, strerror(r));
    void *bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (bytes == MAP_FAILED)
        bench_die("%s: cannot map: %s", path, strerror(errno));
    close(fd);
    if (populate && madvise(bytes, size, MADV_POPULATE_WRITE) < 0)
        bench_die("%s: cannot populate: %s", path, strerror(errno));
    return bytes;
}

void bench_unmap(void *bytes, size_t size)
{
    if (bytes != NULL)
        munmap(bytes, size);
}

struct bench_source bench_source_create(size_t value_size)
{
    struct bench_source source = {
        .value_size = value_size, .record_size = BENCH_KEY_SIZE + value_size, .count = 4};
    while (source.count < 1024 && 2 * source.count * source.record_size <= 256 * 1024)
        source.count *= 2;
    size_t size = source.record_size * source.count;
    uint64_t state = 88172645463325252u;
    source.bytes = malloc(size + sizeof state);
    if (source.bytes == NULL)
        bench_die("out of memory");
    for (size_t i = 0; i < size; i += sizeof state) {
        uint64_t word = bench_random(&state);
        memcpy(source.bytes + i, &word, sizeof word);
    }
    return source;
}

void bench_source_destroy(struct bench_source *source)
{
    free(source->bytes);
    source->bytes = NULL;
}
