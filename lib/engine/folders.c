/* SPDX-License-Identifier: MIT */
/* The folders that a partition's files stand in: topics/<id of the topic>/<number>, made with the first file. */
#include <stdio.h>

#include "base/file.h"
#include "engine/partition.h"
#include "engine/topics.h"
#include "format/names.h"

static uint32_t folders_mode(const struct kfl__core *core)
{
    uint32_t mode = core->settings->file_mode;
    return mode | (mode & 0444) >> 2; /* who may read may search */
}

/*
 * A folder that is there already may have been made by somebody who died before its name was synced: each
 * process brings the name down itself before it first relies on it.
 */
static int folders_step_into(struct kfl__partition *partition, int parent, const char *name,
                             bool make, _Atomic int *io_synced, int *out_fd)
{
    if (make) {
        int r = kfl__file_make_directory(parent, name, folders_mode(partition->core));
        if (r < 0)
            return r;
        if (r == 0 || atomic_load(io_synced) == 0) {
            r = kfl__file_sync_directory(parent);
            if (r < 0)
                return r;
            atomic_store(io_synced, 1);
        }
    }
    return kfl__file_open_directory(parent, name, out_fd);
}

/* The topic's folder; make: create it and the one that it stands in. */
static int folders_open_topic(struct kfl__partition *partition, bool make, int *out_fd)
{
    char name[32];
    int topics = -1;
    int r = folders_step_into(partition, partition->core->directory, KFL_NAME_TOPICS, make,
                              &partition->core->topics_synced, &topics);
    if (r != 0)
        return r;
    snprintf(name, sizeof name, "%llu", (unsigned long long)partition->topic->id);
    r = folders_step_into(partition, topics, name, make, &partition->topic->folder_synced, out_fd);
    kfl__file_close(topics);
    return r;
}

/* Whoever made the file that takes appends has synced the folder's name before. */
static bool folders_is_durable(const struct kfl__partition *partition)
{
    return atomic_load(&partition->slot->active.id) != 0;
}

int kfl__partition_directory(struct kfl__partition *partition, bool make, int *out_fd)
{
    char name[32];
    int topic = -1;
    int r = folders_open_topic(partition, make, &topic);
    if (r != 0)
        return r;
    snprintf(name, sizeof name, "%d", partition->number);
    if (make && folders_is_durable(partition)) {
        _Atomic int synced = 1;
        r = folders_step_into(partition, topic, name, true, &synced, out_fd);
    } else {
        if (make)
            r = kfl__file_make_directory(topic, name, folders_mode(partition->core));
        if (r >= 0)
            r = kfl__file_open_directory(topic, name, out_fd);
    }
    kfl__file_close(topic);
    return r;
}

/* After the first file's sync, which on most file systems has brought the folder's name down with it. */
int kfl__partition_sync_folder(struct kfl__partition *partition)
{
    int topic = -1;
    if (folders_is_durable(partition))
        return 0;
    int r = folders_open_topic(partition, false, &topic);
    if (r == KFL_FILE_MISSING)
        return kfl__partition_gone(partition);
    if (r == 0)
        r = kfl__file_sync_directory(topic);
    kfl__file_close(topic);
    return r;
}
