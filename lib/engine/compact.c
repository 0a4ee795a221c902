/* SPDX-License-Identifier: MIT */
/*
 * Compaction.
 *
 * A pass learns the newest record of each key in the dirty part, as far as memory allows, then sifts all that lies below
 * into new files, from the oldest on. Whenever new files hold all of some old ones, they are swapped. So what is read
 * at any moment is the old files or the new ones. A record may go as soon as a newer one of its key is durable,
 * which sealed segments are; and a tombstone goes only when an earlier pass has stamped it, and with that has
 * taken all that was older. Killed anywhere, the next one begins with what was replaced.
 */
#include "engine/compact.h"

#include "base/fault.h"
#include "base/file.h"
#include "base/map.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/wait.h"
#include "engine/compact_inputs.h"
#include "engine/hands.h"
#include "engine/segments.h"
#include "engine/swap.h"
#include "engine/topics.h"

#define COMPACT_SEEDS 5
#define COMPACT_LOST 20 /* positive: somebody else has replaced or deleted what we were at */
/* So much input at most waits for its new files to be complete: what a pass needs of the disk beside what it frees. */
#define COMPACT_PENDING 16

enum compact_phase { COMPACT_BEGIN, COMPACT_LEARN, COMPACT_SIFT, COMPACT_DONE };

struct kfl__compaction {
    struct kfl__partition *partition;
    struct kfl__compact_wish wish;
    struct kfl__compact_done done;
    enum compact_phase phase;
    int seeds; /* tried in this pass */

    uint64_t version; /* of the list of files, before it was read */
    struct kfl__compact_rows rows;
    struct kfl__compact_plan plan;
    struct kfl__sieve sieve;
    struct kfl__rewrite rewrite;
    int32_t input;
    uint64_t place;
    int32_t pending; /* inputs from here on are in new files that are not in use yet */
    int64_t pending_bytes;
    bool full;    /* the map was: another pass follows */
    bool damaged; /* what lies behind could not be read: told at the end */
    struct kfl__words words;

    int64_t rate, rate_began_ns; /* bytes a second, and since when: this pass began */
    int64_t removed_before, removed_tombstones_before; /* by the passes before this one */
};

/* ---- one pass ---- */

static void compact_close_inputs(struct kfl__compaction *compaction)
{
    for (int32_t i = 0; i < compaction->sieve.input_count; i++)
        kfl__segment_release(compaction->sieve.inputs[i].segment);
    kfl__free(compaction->sieve.inputs);
    compaction->sieve.inputs = NULL;
    compaction->sieve.input_count = 0;
}

static void compact_end_pass(struct kfl__compaction *compaction)
{
    compact_close_inputs(compaction);
    kfl__sieve_release(&compaction->sieve);
    kfl__rewrite_release(&compaction->rewrite);
    kfl__free(compaction->rows.rows);
    compaction->rows = (struct kfl__compact_rows){0};
}

static int compact_look(struct kfl__compaction *compaction)
{
    struct kfl__partition *partition = compaction->partition;
    struct kfl__compact_rules rules =
        kfl__compact_rules(partition, compaction->wish.force || compaction->full);
    compaction->version = atomic_load(&partition->slot->manifest_version);
    rules.everything = compaction->wish.forget.key != NULL;
    int r = kfl__compact_rows(partition, !compaction->wish.dry, &compaction->rows);
    if (r < 0)
        return r;
    compaction->plan = kfl__compact_plan(compaction->rows.rows, compaction->rows.count, &rules);
    return 0;
}

/* Everything of a pass but its files. */
static int compact_begin_pass(struct kfl__compaction *compaction)
{
    struct kfl__partition *partition = compaction->partition;
    const struct kfl__compact_plan *plan = &compaction->plan;
    struct kfl__sieve *sieve = &compaction->sieve;
    bool alike = KFL_FAULT("compact.digest") != 0;
    int64_t end = compaction->rows.rows[plan->count - 1].end_offset;
    *sieve = (struct kfl__sieve){
        .partition = partition,
        .seed = alike ? 0 : kfl__random64() | 1,
        .key_size = alike ? KFL_SIEVE_SIZES : KFL_SIEVE_NO_SIZE,
        .now_ms = kfl__clock_wall_ms(&partition->core->clock),
        .delete_retention_ms = kfl__topic_shape(partition->topic)->settings->delete_retention_ms,
        .forget = compaction->wish.forget,
    };
    sieve->inputs = kfl__alloc_array((size_t)plan->count, sizeof *sieve->inputs);
    if (sieve->inputs == NULL)
        return kfl__fail(KFL_E_NOMEM, "a list of %d segments: out of memory", plan->count);
    sieve->input_count = plan->count;
    for (int32_t i = 0; i < plan->count; i++)
        sieve->inputs[i].row = compaction->rows.rows[i];
    if (plan->first_dirty < plan->count) {
        const struct kfl__segment_row *dirty = &compaction->rows.rows[plan->first_dirty];
        end = dirty->clean_offset > dirty->base_offset ? dirty->clean_offset : dirty->base_offset;
    }
    sieve->map_from = sieve->map_end = end;
    int r = kfl__offset_map_init(&sieve->map,
                                 partition->core->settings->log_cleaner_dedupe_buffer_size);
    if (r == 0 && !compaction->wish.dry)
        r = kfl__rewrite_init(&compaction->rewrite, partition);
    if (r < 0)
        return r;
    compaction->done.total_bytes = plan->clean_bytes + 2 * plan->dirty_bytes;
    compaction->done.read_bytes = 0;
    compaction->full = false;
    compaction->rate_began_ns = kfl__clock_steady_ns();
    compaction->removed_before = compaction->done.removed;
    compaction->removed_tombstones_before = compaction->done.removed_tombstones;
    compaction->input = plan->first_dirty;
    compaction->place = KFL_SEGMENT_FIRST_PLACE;
    compaction->pending = 0;
    compaction->pending_bytes = 0;
    compaction->phase = COMPACT_LEARN;
    return 0;
}

static int compact_open_input(struct kfl__compaction *compaction)
{
    bool lost = false;
    int r =
        kfl__compact_input_open(compaction->partition, &compaction->sieve.inputs[compaction->input],
                                compaction->version, &lost);
    return r == 0 && lost ? COMPACT_LOST : r;
}

/* From here on records may go: all that was learned has to be durable. 0, COMPACT_LOST, or an error. */
static int compact_begin_sift(struct kfl__compaction *compaction)
{
    struct kfl__sieve *sieve = &compaction->sieve;
    int32_t count = sieve->input_count;
    bool lost = false;
    KFL_STEP("compact.read");
    int r = compaction->rows.ahead
                ? kfl__compact_inputs_settle(compaction->partition, sieve->inputs, count, &lost)
                : 0;
    if (r < 0 || lost)
        return r < 0 ? r : COMPACT_LOST;
    if (sieve->map_end > sieve->map_from)
        while (count > 0 && sieve->inputs[count - 1].row.base_offset >= sieve->map_end)
            count--;
    compaction->plan.count = count;
    compaction->input = 0;
    compaction->place = KFL_SEGMENT_FIRST_PLACE;
    compaction->phase = COMPACT_SIFT;
    KFL_STEP("compact.learned");
    return 0;
}

/* Damage in the dirty part: what lies in front of it is compacted all the same. */
static int compact_stop_at_damage(struct kfl__compaction *compaction)
{
    int32_t damaged = compaction->input;
    if (damaged <= compaction->plan.first_dirty)
        return KFL_E_CORRUPT;
    compaction->damaged = true;
    kfl__error_save(&compaction->words);
    int r = compact_begin_sift(compaction);
    if (r == 0 && compaction->plan.count > damaged)
        compaction->plan.count = damaged;
    return r;
}

static int compact_learn(struct kfl__compaction *compaction)
{
    if (compaction->input == compaction->sieve.input_count)
        return compact_begin_sift(compaction);
    int32_t input = compaction->input;
    int r = compact_open_input(compaction);
    if (r == 0)
        r = kfl__sieve_learn(&compaction->sieve, input, &compaction->place);
    switch (r) {
    case 0:
        kfl__compact_input_cool(&compaction->sieve.inputs[input]);
        compaction->input++;
        compaction->place = KFL_SEGMENT_FIRST_PLACE;
        return 0;
    case KFL_SIEVE_FULL:
        compaction->full = true;
        return compact_begin_sift(compaction);
    case KFL_SIEVE_DAMAGED:
        return compact_stop_at_damage(compaction);
    default:
        return r == KFL_SIEVE_MORE ? 0 : r;
    }
}

/* The inputs from `pending` up to here are all in files that are done. */
static int compact_swap(struct kfl__compaction *compaction, int32_t to)
{
    struct kfl__swap swap = {
        .sieve = &compaction->sieve,
        .from = compaction->pending,
        .to = to,
        .rewrite = &compaction->rewrite,
        .done = &compaction->done,
    };
    int r = kfl__swap(&swap);
    compaction->pending = to;
    compaction->pending_bytes = 0;
    return r < 0 ? r : swap.lost ? COMPACT_LOST : 0;
}

/* ---- sifting ---- */

/* Nothing of it can go: there is nothing new to know, and none of its tombstones has come to its time. */
static bool compact_passes_over(const struct kfl__compaction *compaction,
                                const struct kfl__sieve_input *input)
{
    const struct kfl__sieve *sieve = &compaction->sieve;
    if (sieve->map_end > sieve->map_from || sieve->forget.key != NULL)
        return false;
    return input->row.horizon_ms == 0 || input->row.horizon_ms > sieve->now_ms;
}

/* Complete the new files behind input `to` - 1, and put them to use. */
static int compact_settle(struct kfl__compaction *compaction, int32_t to)
{
    if (!kfl__rewrite_is_open(&compaction->rewrite)) {
        compaction->pending = to;
        return 0;
    }
    int r =
        kfl__rewrite_close(&compaction->rewrite, compaction->sieve.inputs[to - 1].row.end_offset);
    compaction->done.written_bytes = compaction->rewrite.written_bytes;
    return r < 0 ? r : compact_swap(compaction, to);
}

static int compact_open_output(struct kfl__compaction *compaction)
{
    int64_t bytes = 0;
    if (compaction->wish.dry || kfl__rewrite_is_open(&compaction->rewrite))
        return 0;
    for (int32_t i = compaction->input; i < compaction->plan.count; i++)
        bytes += compaction->sieve.inputs[i].row.used;
    return kfl__rewrite_open(&compaction->rewrite,
                             compaction->sieve.inputs[compaction->input].row.base_offset, bytes, 0);
}

/* Of a run that only counts: as if the files so far were replaced by one. */
static void compact_estimate(struct kfl__compaction *compaction)
{
    struct kfl__compact_done *done = &compaction->done;
    int64_t used = 0;
    for (int32_t i = 0; i < compaction->input; i++)
        used += compaction->sieve.inputs[i].row.used;
    done->segments = compaction->input;
    done->freed_bytes = used - compaction->sieve.kept_bytes - (int64_t)KFL_SEGMENT_FIRST_PLACE;
}

/* Behind an input: the next one, and now and then what waits is put to use. */
static int compact_behind_input(struct kfl__compaction *compaction)
{
    struct kfl__sieve_input *input = &compaction->sieve.inputs[compaction->input];
    int64_t segment_bytes = kfl__topic_shape(compaction->partition->topic)->settings->segment_bytes;
    int r = 0;
    compaction->pending_bytes += input->row.used;
    compaction->input++;
    compaction->place = KFL_SEGMENT_FIRST_PLACE;
    bool last = compaction->input == compaction->plan.count;
    bool much = (int64_t)compaction->rewrite.place >= segment_bytes / 2 ||
                compaction->rewrite.done_count > 0 ||
                compaction->pending_bytes >= COMPACT_PENDING * segment_bytes;
    if (compaction->wish.dry)
        compact_estimate(compaction);
    else if (last || much)
        r = compact_settle(compaction, compaction->input);
    else
        r = kfl__rewrite_flush(&compaction->rewrite,
                               0); /* its records lie in a map that is given back now */
    /* What comes asks for later files only. */
    if (r >= 0) {
        kfl__compact_input_cool(input);
        kfl__segment_release(input->segment);
        input->segment = NULL;
    }
    return r;
}

static int compact_sift(struct kfl__compaction *compaction)
{
    if (compaction->input >= compaction->plan.count) {
        compaction->phase =
            compaction->full && !compaction->wish.dry ? COMPACT_BEGIN : COMPACT_DONE;
        return 0;
    }
    struct kfl__sieve_input *input = &compaction->sieve.inputs[compaction->input];
    if (compaction->place == KFL_SEGMENT_FIRST_PLACE && compact_passes_over(compaction, input)) {
        int r = compaction->wish.dry || compaction->input == compaction->pending
                    ? 0
                    : compact_settle(compaction, compaction->input);
        compaction->input++;
        compaction->pending = compaction->input;
        return r;
    }
    int r = compact_open_input(compaction);
    if (r == 0)
        r = compact_open_output(compaction);
    if (r == 0)
        r = kfl__sieve_sift(&compaction->sieve, compaction->input, &compaction->place,
                            compaction->wish.dry ? NULL : &compaction->rewrite);
    if (r == 0)
        return compact_behind_input(compaction);
    if (r == KFL_SIEVE_DAMAGED)
        return KFL_E_CORRUPT;
    return r == KFL_SIEVE_MORE ? 0 : r;
}

/* ---- the run ---- */

int kfl__compaction_begin(struct kfl__partition *partition, const struct kfl__compact_wish *wish,
                          struct kfl__compact_plan *out_plan,
                          struct kfl__compaction **out_compaction)
{
    struct kfl__compaction *compaction = kfl__alloc(sizeof *compaction);
    if (compaction == NULL)
        return kfl__fail(KFL_E_NOMEM, "compaction of %s/%d: out of memory", partition->topic->name,
                         partition->number);
    compaction->partition = partition;
    compaction->wish = *wish;
    compaction->rate = partition->core->settings->log_cleaner_io_max_bytes_per_second;
    kfl__topic_acquire(partition->topic);
    int r = kfl__partition_recovered(partition);
    if (r == 0)
        r = compact_look(compaction);
    if (r == 0)
        *out_plan = compaction->plan;
    if (r == 0 && compaction->plan.why >= KFL_COMPACT_WHY_POLICY)
        r = KFL_COMPACT_NOTHING;
    if (r == 0)
        r = compact_begin_pass(compaction);
    if (r != 0) {
        kfl__compaction_end(compaction);
        return r;
    }
    *out_compaction = compaction;
    return 0;
}

/* Another pass of the same run: with a map that was full there is more; with another seed. 0, or it is done. */
static int compact_next_pass(struct kfl__compaction *compaction)
{
    struct kfl__words words;
    kfl__error_save(&words);
    compact_end_pass(compaction);
    kfl__error_restore(&words);
    int r = compact_look(compaction);
    if (r < 0)
        return r;
    if (compaction->plan.why >= KFL_COMPACT_WHY_POLICY) {
        compaction->phase = COMPACT_DONE;
        return 0;
    }
    return compact_begin_pass(compaction);
}

static int compact_once(struct kfl__compaction *compaction)
{
    int r = 0;
    switch (compaction->phase) {
    case COMPACT_BEGIN:
        return compact_next_pass(compaction);
    case COMPACT_LEARN:
        r = compact_learn(compaction);
        break;
    case COMPACT_SIFT:
        r = compact_sift(compaction);
        break;
    case COMPACT_DONE:
        return 0;
    }
    if (r == KFL_SIEVE_COLLIDED) {
        compaction->full = true; /* the same again */
        compaction->phase = COMPACT_BEGIN;
        return ++compaction->seeds <= COMPACT_SEEDS
                   ? 0
                   : kfl__fail(KFL_E_BUG, "partition %s/%d: keys share their digest under %d seeds",
                               compaction->partition->topic->name, compaction->partition->number,
                               COMPACT_SEEDS);
    }
    if (r == COMPACT_LOST) {
        compaction->full = true; /* as much as was asked for, of what is there now */
        compaction->phase = COMPACT_BEGIN;
        return 0;
    }
    return r;
}

/* As much was read and written as may be in this time? Else when to go on. */
static int64_t compact_rest_until(const struct kfl__compaction *compaction)
{
    int64_t bytes = compaction->done.read_bytes + compaction->rewrite.written_bytes;
    if (compaction->rate == INT64_MAX)
        return 0;
    return compaction->rate_began_ns + (int64_t)((double)bytes / (double)compaction->rate * 1e9);
}

static void compact_rest(struct kfl__core *core, int64_t until_ns)
{
    _Atomic uint32_t nobody = 0;
    int64_t now = kfl__clock_steady_ns();
    while (now < until_ns && atomic_load(&core->closing) == 0) {
        int64_t look = now + 50000000;
        (void)kfl__wait(&nobody, 0, look < until_ns ? look : until_ns);
        now = kfl__clock_steady_ns();
    }
}

static void compact_tell(struct kfl__compaction *compaction)
{
    struct kfl__compact_done *done = &compaction->done;
    const struct kfl__sieve *sieve = &compaction->sieve;
    done->read_bytes = sieve->read_bytes;
    done->kept = sieve->kept;
    done->removed = compaction->removed_before + sieve->removed;
    done->kept_tombstones = sieve->kept_tombstones;
    done->removed_tombstones = compaction->removed_tombstones_before + sieve->removed_tombstones;
}

int kfl__compaction_step(struct kfl__compaction *compaction, int64_t deadline_ns)
{
    struct kfl__core *core = compaction->partition->core;
    while (compaction->phase != COMPACT_DONE) {
        if (atomic_load(&core->closing) != 0)
            return kfl__fail(KFL_E_CLOSED, "the store %s is closed", core->path);
        int r = compact_once(compaction);
        /* Who appends meanwhile waits for pages, not the other way round, where processors are few. */
        kfl__hands_help(core, KFL_HAND_TOUCH);
        compact_tell(compaction);
        if (r < 0)
            return r;
        int64_t rest = compact_rest_until(compaction);
        if (deadline_ns >= 0 && (kfl__clock_steady_ns() >= deadline_ns || rest >= deadline_ns)) {
            compact_rest(core, rest < deadline_ns ? rest : deadline_ns);
            return compaction->phase != COMPACT_DONE;
        }
        if (rest != 0)
            compact_rest(core, rest);
    }
    if (!compaction->damaged)
        return 0;
    kfl__error_restore(&compaction->words);
    return KFL_E_CORRUPT;
}

const struct kfl__compact_done *kfl__compaction_done(const struct kfl__compaction *compaction)
{
    return &compaction->done;
}

struct kfl__partition *kfl__compaction_partition(const struct kfl__compaction *compaction)
{
    return compaction->partition;
}

void kfl__compaction_end(struct kfl__compaction *compaction)
{
    struct kfl__words words;
    if (compaction == NULL)
        return;
    kfl__error_save(&words);
    compact_end_pass(compaction);
    kfl__topic_release(compaction->partition->topic);
    kfl__free(compaction);
    kfl__error_restore(&words);
}
