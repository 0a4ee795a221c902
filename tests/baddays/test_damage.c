/* SPDX-License-Identifier: MIT */
/*
 * Damage of every kind in every file of a small store. Each record is delivered right or told as lost; what
 * was not damaged is read; wrong data never, a signal never, a hang never. promise:P6 rule:R22
 *
 * A seeded sample runs by default; KAFKALITE_TEST_CASES=n makes it n cases, and KAFKALITE_TEST_SEED replays.
 */
#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "chance.h"
#include "day.h"
#include "suite.h"
#include "temp_dir.h"

/* Hurt here, a file does not know its own name any more, and all of it is lost. */
#define DAY_SEGMENT_HEADER 512

enum harm {
    HARM_FLIP,
    HARM_BYTE,
    HARM_ZERO,
    HARM_NOISE,
    HARM_CUT,
    HARM_DELETE,
    HARM_REPLACE,
    HARM_SWAP,
    HARM_KINDS
};
static const char *const harm_names[HARM_KINDS] = {"flip a bit", "a byte 0xff", "zero",    "noise",
                                                   "cut",        "delete",      "replace", "swap"};

/* In what shape the store is when it is damaged. */
enum shape {
    SHAPE_CLEAN,  /* closed; a copy, so that the state file is made anew as after a reboot */
    SHAPE_TORN,   /* not closed; a copy: as after a power cut that everything survived */
    SHAPE_KILLED, /* not closed, the same boot: the state file stands */
    SHAPE_CLOSED, /* closed, the same boot */
    SHAPE_COUNT,
};
static const char *const shape_names[SHAPE_COUNT] = {"clean", "torn", "killed", "closed"};

struct damage {
    enum shape shape;
    enum harm harm;
    char file[160];
    char other[160];     /* to swap with */
    int64_t place, size; /* of the file that is harmed */
    uint64_t bits;
};

static char templates[2][600];
static struct day_visit *visit;

static void setup(void)
{
    temp_dir_make();
    for (int closed = 0; closed < 2; closed++) {
        snprintf(templates[closed], sizeof templates[0], "%s/%s", temp_dir_path(),
                 closed ? "clean" : "torn");
        day_make(templates[closed], closed != 0);
    }
    visit = day_visit_create();
}

static void teardown(void)
{
    temp_dir_remove();
}

static void write_bytes(int fd, const void *bytes, size_t size, int64_t place)
{
    ck_assert_int_eq(pwrite(fd, bytes, size, place), (ssize_t)size);
}

static void do_harm(const char *store, const struct damage *damage, struct chance *chance)
{
    char path[1000];
    uint8_t bytes[4096];
    snprintf(path, sizeof path, "%s/%s", store, damage->file);
    if (damage->harm == HARM_DELETE) {
        ck_assert_int_eq(unlink(path), 0);
        return;
    }
    if (damage->harm == HARM_SWAP) {
        char other[1000], third[1000];
        snprintf(other, sizeof other, "%s/%s", store, damage->other);
        snprintf(third, sizeof third, "%s/third", store);
        ck_assert_int_eq(rename(path, third), 0);
        ck_assert_int_eq(strcmp(path, other) == 0 ? 0 : rename(other, path), 0);
        ck_assert_int_eq(rename(third, other), 0);
        return;
    }
    int fd = open(path, O_RDWR | O_CLOEXEC);
    struct stat status;
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(fstat(fd, &status), 0);
    switch (damage->harm) {
    case HARM_FLIP:
        ck_assert_int_eq(pread(fd, bytes, 1, damage->place), 1);
        bytes[0] ^= (uint8_t)(1u << damage->bits % 8);
        write_bytes(fd, bytes, 1, damage->place);
        break;
    case HARM_BYTE:
        bytes[0] = 0xff;
        write_bytes(fd, bytes, 1, damage->place);
        break;
    case HARM_ZERO:
        memset(bytes, 0, sizeof bytes);
        write_bytes(fd, bytes, (size_t)damage->size, damage->place);
        break;
    case HARM_NOISE:
        chance_fill(chance, bytes, sizeof bytes);
        write_bytes(fd, bytes, (size_t)damage->size, damage->place);
        break;
    case HARM_CUT:
        ck_assert_int_eq(ftruncate(fd, damage->place), 0);
        break;
    case HARM_REPLACE:
        for (int64_t at = 0; at < status.st_size; at += (int64_t)sizeof bytes) {
            int64_t left = status.st_size - at;
            chance_fill(chance, bytes, sizeof bytes);
            write_bytes(fd, bytes, left < (int64_t)sizeof bytes ? (size_t)left : sizeof bytes, at);
        }
        break;
    default:
        ck_abort();
    }
    close(fd);
}

/* Which partition a file belongs to; -1: the whole store. */
static int partition_of(const char *file)
{
    static const char *const folders[DAY_PARTITIONS] = {"topics/1/0/", "topics/1/1/",
                                                        "topics/2/0/"};
    for (int p = 0; p < DAY_PARTITIONS; p++)
        if (strncmp(file, folders[p], strlen(folders[p])) == 0)
            return p;
    return -1;
}

static bool ends_with(const char *text, const char *end)
{
    size_t a = strlen(text), b = strlen(end);
    return a >= b && strcmp(text + a - b, end) == 0;
}

/* What was not synced is as after a power cut; a state file that is lost makes a killed process's store one. */
static bool is_torn(const struct damage *damage)
{
    bool state = strcmp(damage->file, "state") == 0 ||
                 (damage->harm == HARM_SWAP && strcmp(damage->other, "state") == 0);
    return damage->shape == SHAPE_TORN || (damage->shape == SHAPE_KILLED && state);
}

/* Is the memory that processes share damaged while its numbers and locks count? */
static bool is_state_hurt(const struct damage *damage)
{
    return ends_with(damage->file, "state") ||
           (damage->harm == HARM_SWAP && ends_with(damage->other, "state"));
}

/* NULL, or what is wrong with the visit. */
static const char *judge_partition(const struct damage *damage, int p, bool hurt)
{
    int lost = 0, told = 0, unseen = 0;
    const int64_t end = day_ends[p];
    if (visit->partitions[p].fates[DAY_OFFSETS_MAX - 1] == DAY_WRONG)
        return "a record that nobody sent";
    for (int64_t n = 0; n < end; n++) {
        uint8_t fate = visit->partitions[p].fates[n];
        if (fate == DAY_WRONG)
            return "wrong data";
        lost += fate != DAY_RIGHT;
        told += fate == DAY_HOLE;
        unseen += fate == DAY_UNSEEN;
    }
    if (!hurt && lost > 0)
        return "records are lost that were not damaged";
    bool small = damage->harm == HARM_FLIP && damage->place >= DAY_SEGMENT_HEADER &&
                 ends_with(damage->file, ".log");
    if (small && lost > 3 && !(is_torn(damage) && p == 2))
        return "one bit costs more than its batch";
    /* What was never synced may be cut as a torn tail; what a commit covers may not. */
    bool may_be_torn = is_torn(damage) && hurt && p == 2;
    if (unseen > 0 && visit->partitions[p].read == 0 && !may_be_torn)
        return "silent loss";
    if (visit->partitions[p].read < 0 && visit->partitions[p].read != KFL_E_CORRUPT &&
        visit->partitions[p].read != KFL_E_VERSION)
        return "reading ends with an error of another kind";
    if (visit->partitions[p].append >= 0) {
        if (visit->partitions[p].appended_at < end)
            return "an offset is given twice";
        if (visit->partitions[p].read_again != 1)
            return "what was appended cannot be read";
    } else if (is_state_hurt(damage)) {
        /* A lock that was overwritten is refused, until the file is made anew at the next open. */
        if (visit->partitions[p].append != KFL_E_CORRUPT)
            return "an append ends with an error of another kind";
    } else if (!ends_with(damage->file, "catalog.mdb") &&
               !ends_with(damage->other, "catalog.mdb") && visit->partitions[p].read >= 0) {
        /* Damage costs what was damaged, and nothing that comes. */
        return "an append is refused";
    }
    if (told > 0 && visit->verify == 0)
        return "verify does not find what the reader met";
    return NULL;
}

static const char *judge(const struct damage *damage)
{
    int harmed = partition_of(damage->file);
    /* Two files of different kinds change places: both are gone. */
    bool swapped = damage->harm == HARM_SWAP, log = ends_with(damage->file, ".log");
    int other = swapped ? partition_of(damage->other) : harmed;
    bool catalog = ends_with(damage->file, "catalog.mdb") ||
                   (swapped && ends_with(damage->other, "catalog.mdb"));
    bool state = is_state_hurt(damage);
    if (visit->signal == SIGALRM)
        return "a hang";
    if (visit->signal != 0 || visit->exit_status != 0)
        return "a signal, or an exit of its own";
    if (visit->open < 0) {
        if (!catalog && !state)
            return "the store does not open";
        return visit->open == KFL_E_CORRUPT || visit->open == KFL_E_VERSION ||
                       visit->open == KFL_E_NOT_FOUND
                   ? NULL
                   : "an error of another kind";
    }
    for (int p = 0; p < DAY_PARTITIONS; p++) {
        bool hurt = catalog || ((log || swapped) && (p == harmed || p == other));
        /* A state file of this boot that is damaged: its numbers may be refused. */
        const char *what =
            judge_partition(damage, p, hurt || (state && visit->partitions[p].read < 0));
        if (what != NULL)
            return what;
    }
    if (!catalog && (visit->committed < 0 || !visit->committed_right))
        return "committed offsets are lost";
    if (visit->verify < 0)
        return "verify gives up";
    return NULL;
}

static bool run_case(const struct damage *damage, struct chance *chance, int number)
{
    char store[700];
    snprintf(store, sizeof store, "%s/case", temp_dir_path());
    bool in_place = damage->shape == SHAPE_KILLED || damage->shape == SHAPE_CLOSED;
    if (in_place)
        day_make(store, damage->shape == SHAPE_CLOSED);
    else
        day_copy(templates[damage->shape == SHAPE_CLEAN], store);
    do_harm(store, damage, chance);
    day_visit_run(store, DAY_APPEND | DAY_VERIFY, visit);
    const char *what = judge(damage);
    if (what == NULL && visit->open == 0) {
        /* A second look, as after the next start, must not find less. */
        static struct day_visit first;
        first = *visit;
        day_visit_run(store, is_state_hurt(damage) ? DAY_APPEND : 0, visit);
        if (visit->signal != 0 || (visit->open < 0 && visit->open != KFL_E_CORRUPT))
            what = "the second open fails";
        for (int p = 0; p < DAY_PARTITIONS && what == NULL && is_state_hurt(damage); p++)
            if (visit->open < 0 || visit->partitions[p].append < 0)
                what = "an append is refused after the next open, too";
        for (int p = 0; p < DAY_PARTITIONS && what == NULL && visit->open == 0; p++)
            for (int64_t n = 0; n < day_ends[p] && what == NULL; n++)
                if (first.partitions[p].fates[n] == DAY_RIGHT &&
                    visit->partitions[p].fates[n] != DAY_RIGHT && visit->partitions[p].read == 0)
                    what = "the second open finds less";
    }
    if (what != NULL) {
        fprintf(stderr,
                "case %d: %s store, %s at %lld (%lld bytes, bit %d) of %s%s%s: %s\n    %s\n",
                number, shape_names[damage->shape], harm_names[damage->harm],
                (long long)damage->place, (long long)damage->size, (int)(damage->bits % 8),
                damage->file, damage->harm == HARM_SWAP ? " and " : "",
                damage->harm == HARM_SWAP ? damage->other : "", what, day_visit_text(visit));
        if (getenv("KAFKALITE_TEST_KEEP") != NULL) {
            char kept[800];
            snprintf(kept, sizeof kept, "%s-%d", store, number);
            (void)rename(store, kept);
        }
    }
    day_remove(store);
    return what == NULL;
}

static void choose(struct chance *chance, struct damage *damage)
{
    struct day_files files;
    struct stat status;
    char path[1000];
    *damage = (struct damage){.shape = (enum shape)chance_below(chance, SHAPE_COUNT),
                              .bits = chance_next(chance)};
    const char *template = templates[damage->shape == SHAPE_CLEAN || damage->shape == SHAPE_CLOSED];
    /* Half of all harm goes to records, the rest to any file. */
    day_list(template, chance_below(chance, 2) ? ".log" : "", &files);
    ck_assert_int_gt(files.count, 0);
    snprintf(damage->file, sizeof damage->file, "%s",
             files.paths[chance_below(chance, (uint64_t)files.count)]);
    snprintf(path, sizeof path, "%s/%s", template, damage->file);
    ck_assert_int_eq(stat(path, &status), 0);
    snprintf(damage->other, sizeof damage->other, "%s",
             files.paths[chance_below(chance, (uint64_t)files.count)]);
    uint64_t size = (uint64_t)status.st_size;
    damage->harm = (enum harm)chance_below(chance, HARM_KINDS);
    if (size == 0 && damage->harm != HARM_DELETE)
        damage->harm = HARM_REPLACE;
    if (size > 0) {
        /* Headers are hit as often as all that lies behind them. */
        uint64_t within = chance_below(chance, 3) == 0 && size > 4096 ? 4096 : size;
        damage->place = (int64_t)chance_below(chance, within);
        if (chance_below(chance, 4) == 0) {
            static const int64_t edges[] = {0,   1,   8,   47,   48,   511,  512, 575,
                                            576, 577, 584, 4095, 4096, 4144, 8192};
            int64_t edge = edges[chance_below(chance, sizeof edges / sizeof edges[0])];
            damage->place = edge < (int64_t)size ? edge : (int64_t)size - 1;
        }
        uint64_t room = size - (uint64_t)damage->place;
        uint64_t most = chance_below(chance, 2) ? 64 : 4096;
        damage->size = (int64_t)(1 + chance_below(chance, room < most ? room : most));
    }
}

START_TEST(each_record_is_right_or_told_as_lost)
{
    const char *given = getenv("KAFKALITE_TEST_CASES"), *only = getenv("KAFKALITE_TEST_CASE");
    int cases = given != NULL ? atoi(given) : 200, bad = 0;
    struct chance seeds = chance_begin("damage");
    for (int i = 0; i < cases; i++) {
        struct chance chance = {chance_next(&seeds)};
        struct damage damage;
        choose(&chance, &damage);
        if (only != NULL && atoi(only) != i)
            continue;
        bad += !run_case(&damage, &chance, i);
    }
    ck_assert_int_eq(bad, 0);
}
END_TEST

START_TEST(an_undamaged_store_is_whole_in_each_shape)
{
    char store[700];
    snprintf(store, sizeof store, "%s/case", temp_dir_path());
    for (int shape = 0; shape < SHAPE_COUNT; shape++) {
        if (shape == SHAPE_KILLED || shape == SHAPE_CLOSED)
            day_make(store, shape == SHAPE_CLOSED);
        else
            day_copy(templates[shape == SHAPE_CLEAN], store);
        for (int again = 0; again < 2; again++) {
            day_visit_run(store, again ? 0 : DAY_APPEND | DAY_VERIFY, visit);
            ck_assert_msg(again || day_visit_is_whole(visit), "%s: %s", shape_names[shape],
                          day_visit_text(visit));
        }
        day_remove(store);
    }
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("damage");
    TCase *tests = tcase_create("damage");
    tcase_set_timeout(tests, 100000);
    tcase_add_unchecked_fixture(tests, setup, teardown);
    tcase_add_test(tests, an_undamaged_store_is_whole_in_each_shape);
    tcase_add_test(tests, each_record_is_right_or_told_as_lost);
    suite_add_tcase(suite, tests);
    return suite;
}
