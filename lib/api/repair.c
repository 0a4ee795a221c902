/* SPDX-License-Identifier: MIT */
/*
 * Salvage a store whose catalog is lost, into a new one.
 *
 * Segment files repeat what the catalog knew of them: store, topic, its name, partition. So each folder
 * below topics/ is read for what it is, and what verifies is copied into a new store by the ordinary means
 * of recovery (engine/salvage). The old store is only read; byte 0 of its LOCK is held meanwhile, so that
 * nobody opens it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/findings.h"
#include "api/store.h"
#include "base/file.h"
#include "base/memory.h"
#include "engine/salvage.h"
#include "format/names.h"
#include "log/scan.h"

struct repair_topic {
    uint64_t id;
    int32_t partition_count;
    char name[256]; /* "": no header of it can be believed */
};

struct repair {
    const char *path;
    int folder, topics; /* of the old store, and below it */
    uint8_t store_id[16];
    bool store_known;
    struct repair_topic *list; /* owned */
    int32_t count, room;
    kfl_store *copy;
    kfl_findings *findings;
    /* the partition at hand */
    const struct repair_topic *topic;
    const char *name; /* in the new store */
    int32_t number;
};

/* ---- what there is ---- */

/* A folder's name as a number up to `most`. */
static bool repair_number(const char *name, uint64_t most, uint64_t *out_number)
{
    char *end;
    if (name[0] < '0' || name[0] > '9' || (name[0] == '0' && name[1] != '\0') || strlen(name) > 19)
        return false;
    *out_number = strtoull(name, &end, 10);
    return *end == '\0' && *out_number <= most;
}

struct repair_look {
    struct repair *repair;
    struct repair_topic *topic;
    int folder;
    int32_t number;
};

/* What a header says of its store and topic, once. */
static int repair_look_at_file(const char *name, void *context)
{
    struct repair_look *look = context;
    struct repair *repair = look->repair;
    struct kfl__scan scan;
    enum kfl__name_kind kind;
    int64_t id;
    if (!kfl__name_decode(name, &id, &kind) || kind != KFL_NAME_LOG ||
        (look->topic->name[0] != '\0' && repair->store_known))
        return 0;
    int r = kfl__scan_open(look->folder, name, &scan);
    if (r != 0)
        return r == KFL_E_CORRUPT || r == KFL_E_VERSION || r > 0 ? 0 : r;
    const struct kfl__segment_header *header = &scan.header;
    if (header->topic_id == look->topic->id && header->partition == (uint32_t)look->number &&
        header->segment_id == (uint64_t)id && kfl__topic_name_check(header->topic_name) == 0) {
        snprintf(look->topic->name, sizeof look->topic->name, "%s", header->topic_name);
        if (!repair->store_known)
            memcpy(repair->store_id, header->store_id, sizeof repair->store_id);
        repair->store_known = true;
    }
    kfl__scan_close(&scan);
    return 0;
}

static int repair_look_at_partition(const char *name, void *context)
{
    struct repair_look *look = context;
    struct repair_look inner = *look;
    uint64_t number;
    if (!repair_number(name, KFL_PARTITIONS_MAX - 1, &number))
        return 0;
    int r = kfl__file_open_directory(look->folder, name, &inner.folder);
    if (r != 0)
        return r == KFL_E_CORRUPT || r > 0 ? 0 : r;
    inner.number = (int32_t)number;
    if (look->topic->partition_count <= inner.number)
        look->topic->partition_count = inner.number + 1;
    r = kfl__file_list(inner.folder, repair_look_at_file, &inner);
    kfl__file_close(inner.folder);
    return r < 0 ? r : 0;
}

static int repair_look_at_topic(const char *name, void *context)
{
    struct repair *repair = context;
    struct repair_look look = {.repair = repair, .folder = -1};
    uint64_t id;
    if (!repair_number(name, UINT64_MAX, &id))
        return 0;
    if (repair->count == repair->room) {
        int32_t room = repair->room * 2 + 16;
        struct repair_topic *grown = kfl__realloc(repair->list, (size_t)room * sizeof *grown);
        if (grown == NULL)
            return kfl__fail(KFL_E_NOMEM, "a list of %d topics: out of memory", room);
        repair->list = grown;
        repair->room = room;
    }
    int r = kfl__file_open_directory(repair->topics, name, &look.folder);
    if (r != 0)
        return r == KFL_E_CORRUPT || r > 0 ? 0 : r;
    look.topic = &repair->list[repair->count++];
    *look.topic = (struct repair_topic){.id = id};
    r = kfl__file_list(look.folder, repair_look_at_partition, &look);
    kfl__file_close(look.folder);
    return r < 0 ? r : 0;
}

/* The newest first: of two with one name it is the one that still was. */
static int repair_by_id(const void *a, const void *b)
{
    uint64_t left = ((const struct repair_topic *)a)->id;
    uint64_t right = ((const struct repair_topic *)b)->id;
    return (left < right) - (left > right);
}

static int repair_list(struct repair *repair)
{
    int r = kfl__file_open_directory(repair->folder, KFL_NAME_TOPICS, &repair->topics);
    if (r == KFL_FILE_MISSING)
        return kfl__fail(KFL_E_NOT_FOUND, "there are no records in %s: it has no folder topics/",
                         repair->path);
    if (r == 0)
        r = kfl__file_list(repair->topics, repair_look_at_topic, repair);
    if (r >= 0 && repair->count > 0)
        qsort(repair->list, (size_t)repair->count, sizeof *repair->list, repair_by_id);
    return r < 0 ? r : 0;
}

/* ---- telling ---- */

static int repair_tell(const struct kfl__loss *loss, void *context)
{
    struct repair *repair = context;
    char path[4200] = "", file[KFL_NAME_SIZE];
    if (loss->segment_id > 0) {
        kfl__name_encode(file, loss->segment_id, KFL_NAME_LOG);
        snprintf(path, sizeof path, "%s/topics/%" PRIu64 "/%" PRId32 "/%s", repair->path,
                 repair->topic->id, repair->number, file);
    }
    return kfl__findings_add(
        repair->findings,
        &(kfl_finding){
            .topic = repair->name,
            .partition = repair->number,
            .kind = loss->missing_file ? KFL_FINDING_MISSING_FILE : KFL_FINDING_DAMAGE,
            .offset = loss->offset,
            .end_offset = loss->end_offset,
            .place = loss->place,
            .path = path,
            .text = loss->text,
        });
}

static int repair_tell_topic(struct repair *repair, const struct repair_topic *topic,
                             const char *name, const char *text)
{
    char path[4200];
    snprintf(path, sizeof path, "%s/topics/%" PRIu64, repair->path, topic->id);
    return kfl__findings_add(repair->findings, &(kfl_finding){.topic = name,
                                                              .partition = -1,
                                                              .kind = KFL_FINDING_CATALOG,
                                                              .offset = -1,
                                                              .end_offset = -1,
                                                              .place = -1,
                                                              .path = path,
                                                              .text = text});
}

/* ---- copying ---- */

static int repair_partition(struct repair *repair, struct kfl__topic *into, int topic_folder)
{
    char name[32], story[256];
    struct kfl__partition *partition;
    struct kfl__salvage salvage = {
        .folder = -1,
        .topic_id = repair->topic->id,
        .number = repair->number,
        .story = story,
        .tell = repair_tell,
        .context = repair,
    };
    snprintf(name, sizeof name, "%" PRId32, repair->number);
    snprintf(story, sizeof story, "repair: salvaged from %.200s", repair->path);
    memcpy(salvage.store_id, repair->store_id, sizeof salvage.store_id);
    int r = kfl__file_open_directory(topic_folder, name, &salvage.folder);
    if (r != 0)
        return r < 0 ? r : 0; /* it never had a record */
    r = kfl__topic_partition(into, repair->number, &partition);
    if (r == 0)
        r = kfl__salvage_run(&salvage, partition);
    kfl__file_close(salvage.folder);
    if (r == 0)
        kfl__findings_count_batch(repair->findings, salvage.records, salvage.bytes);
    return r;
}

/* The topic in the new store. One that another has the name of gets its number behind it. */
static int repair_make_topic(struct repair *repair, char name[256], struct kfl__topic **out_topic)
{
    struct kfl__core *core = repair->copy->core;
    const struct repair_topic *topic = repair->topic;
    kfl_config *config = NULL;
    int r = kfl_config_create(&config);
    if (r < 0)
        return r;
    snprintf(name, 256, "%s", topic->name);
    r = kfl__topics_make(core, name, topic->partition_count, config);
    if (r == KFL_E_TOPIC_ALREADY_EXISTS || r == KFL_E_INVALID_TOPIC) {
        snprintf(name, 256, "%.220s.%" PRIu64, topic->name, topic->id);
        r = kfl__topics_make(core, name, topic->partition_count, config);
        if (r == 0)
            r = repair_tell_topic(
                repair, topic, name,
                "a newer topic has the name of this one: it was deleted, or their names differ only in . and _");
    }
    kfl_config_destroy(config);
    return r < 0 ? r : kfl__topic_find(core, name, out_topic);
}

static int repair_topic(struct repair *repair, const struct repair_topic *topic)
{
    char name[256], folder_name[32];
    struct kfl__topic *into = NULL;
    int folder = -1;
    if (topic->partition_count == 0)
        return 0; /* an empty folder */
    repair->topic = topic;
    if (topic->name[0] == '\0')
        return repair_tell_topic(
            repair, topic, "",
            "no file in it has a header that can be believed: nothing of it was salvaged");
    snprintf(folder_name, sizeof folder_name, "%" PRIu64, topic->id);
    int r = kfl__file_open_directory(repair->topics, folder_name, &folder);
    if (r == KFL_FILE_MISSING)
        r = kfl__fail(KFL_E_BUSY, "%s changes while it is repaired", repair->path);
    if (r == 0)
        r = repair_make_topic(repair, name, &into);
    repair->name = name;
    for (int32_t i = 0; i < topic->partition_count && r == 0; i++) {
        repair->number = i;
        r = repair_partition(repair, into, folder);
    }
    kfl__topic_release(into);
    kfl__file_close(folder);
    return r;
}

static int repair_copy(struct repair *repair, const char *copy_path)
{
    kfl_config *config = NULL;
    int r = kfl_config_create(&config);
    if (r == 0)
        r = kfl_config_set(config, "background.threads", "0");
    if (r == 0)
        r = kfl_store_open(copy_path, config, &repair->copy);
    kfl_config_destroy(config);
    for (int32_t i = 0; i < repair->count && r == 0; i++)
        r = repair_topic(repair, &repair->list[i]);
    struct kfl__words words;
    kfl__error_save(&words);
    int closed = kfl_store_close(repair->copy);
    if (r < 0)
        kfl__error_restore(&words);
    return r < 0 ? r : closed;
}

/* ---- beginning ---- */

static int repair_count_entry(const char *name, void *context)
{
    (void)name;
    ++*(int *)context;
    return 0;
}

/* Does the folder lie in the old store, or is it that? Goes up to the root. */
static int repair_is_inside(const struct repair *repair, int folder, bool *out_inside)
{
    struct kfl__file_identity old, here, above;
    int at = -1;
    int r = kfl__file_identity(repair->folder, &old);
    if (r == 0)
        r = kfl__file_identity(folder, &here);
    *out_inside = r == 0 && here.device == old.device && here.inode == old.inode;
    while (r == 0 && !*out_inside) {
        int next = -1;
        r = kfl__file_open_directory(at < 0 ? folder : at, "..", &next);
        kfl__file_close(at);
        at = next;
        if (r != 0)
            return r < 0 ? r : 0;
        r = kfl__file_identity(at, &above);
        if (r == 0 && above.device == here.device && above.inode == here.inode)
            break;
        *out_inside = r == 0 && above.device == old.device && above.inode == old.inode;
        here = above;
    }
    kfl__file_close(at);
    return r;
}

/* The folder of the copy: not there yet, or empty, and outside of the old store. */
static int repair_check_copy(const struct repair *repair, const char *copy_path)
{
    char *above = NULL;
    bool inside = false;
    int folder = -1, entries = 0;
    int r = kfl__file_open_directory(-1, copy_path, &folder);
    if (r == 0)
        r = kfl__file_list(folder, repair_count_entry, &entries);
    else if (r == KFL_FILE_MISSING) {
        r = kfl__file_absolute(copy_path, &above);
        if (r == 0) {
            char *slash = strrchr(above, '/');
            slash[slash == above] = '\0';
            r = kfl__file_open_directory(-1, above, &folder);
        }
    }
    if (r == KFL_FILE_MISSING)
        r = kfl__fail(KFL_E_NOT_FOUND, "there is no directory %s to make the copy in", above);
    if (r == 0 && entries > 0)
        r = kfl__fail(KFL_E_EXISTS, "%s is not empty: name a folder that is not there yet",
                      copy_path);
    if (r == 0)
        r = repair_is_inside(repair, folder, &inside);
    if (r == 0 && inside)
        r = kfl__fail(KFL_E_INVALID,
                      "%s lies in the store that is to be repaired: name a folder outside of it",
                      copy_path);
    kfl__file_close(folder);
    kfl__free(above);
    return r < 0 ? r : 0;
}

/* Nobody has the old store open, and nobody opens it until the presence is left. */
static int repair_enter(const struct repair *repair, struct kfl__presence *presence)
{
    bool others = false;
    int r = kfl__presence_enter(presence, repair->folder, 0600, true);
    if (r == 0)
        r = kfl__presence_others(presence, NULL, &others);
    if (r == 0 && others)
        r = kfl__fail(KFL_E_BUSY, "%s is open in a process: close it there, then repair it",
                      repair->path);
    return r < 0 ? r : 0; /* without a LOCK nobody can have it open */
}

int kfl_store_repair(const char *path, const char *copy_path, kfl_findings **out_findings)
{
    struct repair repair = {.path = path, .folder = -1, .topics = -1};
    struct kfl__presence presence = {.lock_fd = -1, .entry = -1};
    if (path == NULL || path[0] == '\0' || copy_path == NULL || copy_path[0] == '\0' ||
        out_findings == NULL)
        return kfl__fail(KFL_E_INVALID,
                         "kfl_store_repair: path, copy_path or out_findings is missing");
    int r = kfl__file_open_directory(-1, path, &repair.folder);
    if (r == KFL_FILE_MISSING)
        r = kfl__fail(KFL_E_NOT_FOUND, "there is no directory %s", path);
    if (r == 0)
        r = repair_check_copy(&repair, copy_path);
    if (r == 0)
        r = repair_enter(&repair, &presence);
    if (r == 0)
        r = repair_list(&repair);
    if (r == 0)
        r = kfl__findings_create(&repair.findings);
    if (r == 0)
        r = repair_copy(&repair, copy_path);
    struct kfl__words words;
    kfl__error_save(&words);
    if (presence.lock_fd >= 0)
        kfl__presence_leave(&presence, NULL);
    kfl__file_close(repair.topics);
    kfl__file_close(repair.folder);
    kfl__free(repair.list);
    kfl__error_restore(&words);
    if (r < 0) {
        kfl_findings_release(repair.findings);
        return r;
    }
    *out_findings = repair.findings;
    return kfl_findings_count(repair.findings);
}
