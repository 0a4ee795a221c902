/* SPDX-License-Identifier: MIT */
/*
 * consume: records to standard output.
 *
 * A group's offsets are committed for what standard output has taken, never for more: a run that is
 * cut short shows a record twice rather than not at all.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "call.h"
#include "moment.h"
#include "output.h"
#include "show.h"
#include "target.h"

/* How long a poll sleeps: the bound for a signal that comes just before it. */
enum { POLL_MS = 500, POLL_RECORDS = 5000, COMMIT_SECONDS = 1 };

struct consuming {
    struct call *call;
    kfl_consumer *consumer;
    struct target *targets;
    int64_t *stops; /* one a target: the first offset not to show; INT64_MAX: none */
    int64_t *nexts; /* one a target: behind the last record shown; -1: none yet */
    size_t target_count;
    size_t open_count; /* targets that have not come to their stop */
    struct format *format;
    int as_json;
    int as_lines;
    const char *group; /* NULL: none */
    int commits;
    int is_member; /* of the group: it says which partitions are ours */
    int is_bounded;
    int64_t shown;
    int64_t most;
    int64_t timeout_ms; /* -1: none */
    int found_holes;
    int timed_out;
};

/* A partition that came after the beginning has no stop. */
static size_t add_target(struct consuming *c, const char *topic, int32_t partition)
{
    size_t i = c->target_count++;
    int named = 0;
    while (strcmp(c->call->arguments[named], topic) != 0)
        named++;
    c->targets = need(reallocarray(c->targets, i + 1, sizeof *c->targets));
    c->stops = need(reallocarray(c->stops, i + 1, sizeof *c->stops));
    c->nexts = need(reallocarray(c->nexts, i + 1, sizeof *c->nexts));
    c->targets[i] = (struct target){.topic = c->call->arguments[named], .partition = partition};
    c->stops[i] = INT64_MAX;
    c->nexts[i] = -1;
    c->open_count++;
    return i;
}

static size_t find_target(struct consuming *c, const char *topic, int32_t partition)
{
    for (size_t i = 0; i < c->target_count; i++)
        if (c->targets[i].partition == partition && strcmp(c->targets[i].topic, topic) == 0)
            return i;
    return add_target(c, topic, partition);
}

static void show_record(const struct consuming *c, const kfl_record *record, struct text *text)
{
    text->size = 0;
    if (c->as_json) {
        output_json_line(show_json(record));
        return;
    }
    if (c->format != NULL) {
        format_add(c->format, record, text);
    } else if (c->as_lines) {
        show_line(record, text);
    } else {
        text_add(text, record->value, record->value_size);
        text_add(text, "\n", 1);
    }
    fwrite(text->data, 1, text->size, stdout);
}

/* A partition that came to its stop gives nothing more. */
static int close_target(struct consuming *c, size_t index)
{
    c->stops[index] = -1;
    c->open_count--;
    int r = kfl_consumer_pause(c->consumer, c->targets[index].topic, c->targets[index].partition);
    return r < 0 ? call_failed(r) : STATUS_OK;
}

static int show_records(struct consuming *c, const kfl_records *records)
{
    struct text text = {0};
    size_t target = 0;
    int status = STATUS_OK;
    for (int32_t i = 0; i < kfl_records_count(records) && c->shown < c->most && status == STATUS_OK;
         i++) {
        const kfl_record *record = kfl_records_get(records, i);
        if (record->partition != c->targets[target].partition ||
            strcmp(record->topic, c->targets[target].topic) != 0)
            target = find_target(c, record->topic, record->partition);
        if (record->offset < c->stops[target]) {
            show_record(c, record, &text);
            c->nexts[target] = record->offset + 1;
            c->shown++;
        }
        if (c->stops[target] >= 0 && record->offset + 1 >= c->stops[target])
            status = close_target(c, target);
    }
    text_free(&text);
    return output_flush() ? status : STATUS_FAILED;
}

static int commit(struct consuming *c)
{
    kfl_partition_offset *offsets = need(calloc(c->target_count, sizeof *offsets));
    size_t count = 0;
    for (size_t i = 0; i < c->target_count; i++) {
        if (c->nexts[i] >= 0)
            offsets[count++] = (kfl_partition_offset){.topic = c->targets[i].topic,
                                                      .partition = c->targets[i].partition,
                                                      .offset = c->nexts[i]};
    }
    int r = count > 0 ? kfl_consumer_commit_offsets(c->consumer, offsets, count) : 0;
    free(offsets);
    return r < 0 ? call_failed(r) : STATUS_OK;
}

/* What is not ours any more is not committed either. */
static void forget(struct consuming *c, const kfl_offsets *offsets)
{
    for (int32_t i = 0; i < kfl_offsets_count(offsets); i++) {
        const kfl_partition_offset *at = kfl_offsets_get(offsets, i);
        c->nexts[find_target(c, at->topic, at->partition)] = -1;
    }
}

/* The group takes partitions from us, or has taken them. */
static int follow_group(struct consuming *c, const kfl_event *event)
{
    int status = STATUS_OK;
    if (kfl_event_kind(event) == KFL_EVENT_REVOKED)
        status = commit(c);
    if (kfl_event_kind(event) == KFL_EVENT_LOST)
        say("group \"%s\": our partitions were given to others: %s", c->group,
            kfl_event_text(event));
    if (kfl_event_kind(event) == KFL_EVENT_REVOKED || kfl_event_kind(event) == KFL_EVENT_LOST)
        forget(c, kfl_event_offsets(event));
    return status;
}

/* Tells holes and what was deleted before it could be read; the records around it are shown. */
static void tell_missing(struct consuming *c, const kfl_event *event)
{
    int is_hole = kfl_event_kind(event) == KFL_EVENT_HOLE;
    say("%s/%" PRId32 ": records %" PRId64 "..%" PRId64 " %s%s", kfl_event_topic(event),
        kfl_event_partition(event), kfl_event_offset(event), kfl_event_end_offset(event) - 1,
        is_hole ? "cannot be read: " : "were deleted before they were read",
        is_hole ? kfl_event_text(event) : "");
    c->found_holes = c->found_holes || is_hole;
}

static int take_events(struct consuming *c)
{
    kfl_event *event;
    int r, status = STATUS_OK;
    while ((r = kfl_consumer_next_event(c->consumer, &event)) > 0) {
        if (kfl_event_kind(event) == KFL_EVENT_HOLE || kfl_event_kind(event) == KFL_EVENT_LAPPED)
            tell_missing(c, event);
        else if (status == STATUS_OK)
            status = follow_group(c, event);
        kfl_event_release(event);
    }
    return r < 0 ? call_failed(r) : status;
}

/*
 * With a bound, an empty look means that the ends of the beginning are reached, whatever holes
 * there are below them; a stop beyond its partition's end is waited for.
 */
static int is_at_ends(const struct consuming *c)
{
    for (size_t i = 0; i < c->target_count; i++) {
        if (c->stops[i] > c->targets[i].end_offset)
            return 0;
    }
    return 1;
}

static int consume(struct consuming *c)
{
    double last_commit = moment_steady_seconds();
    double last_record = last_commit;
    int status = STATUS_OK;
    int looks = c->is_bounded;
    while (status == STATUS_OK && c->open_count > 0 && c->shown < c->most && !call_stopped()) {
        kfl_records *records = NULL;
        int64_t wanted = c->most - c->shown;
        int64_t wait_ms = looks ? 0 : POLL_MS;
        if (c->timeout_ms >= 0 && c->timeout_ms < wait_ms)
            wait_ms = c->timeout_ms;
        int r = kfl_consumer_poll(c->consumer, (int32_t)wait_ms,
                                  wanted < POLL_RECORDS ? (int32_t)wanted : POLL_RECORDS, &records);
        double now = moment_steady_seconds();
        if (r > 0) {
            status = show_records(c, records);
            kfl_records_release(records);
            last_record = now;
            looks = c->is_bounded;
        } else if (r == KFL_E_EVENT) {
            status = take_events(c);
        } else if (r < 0 && r != KFL_E_INTR) {
            return call_failed(r);
        } else if (r == 0 && looks) {
            if (is_at_ends(c))
                break;
            looks = 0;
        } else if (c->timeout_ms >= 0 && (now - last_record) * 1000 >= (double)c->timeout_ms) {
            c->timed_out = 1;
            break;
        }
        if (c->commits && status == STATUS_OK && now - last_commit >= COMMIT_SECONDS) {
            status = commit(c);
            last_commit = now;
        }
    }
    if (c->commits && status == STATUS_OK)
        status = commit(c);
    if (status == STATUS_OK && c->found_holes)
        return STATUS_DAMAGE;
    return status == STATUS_OK && c->timed_out && c->shown == 0 ? STATUS_TIMEOUT : status;
}

/* Where each partition begins and stops. */
static int assign(struct consuming *c)
{
    struct point from = {c->commits ? POINT_STORED : POINT_BEGINNING, 0};
    struct point to;
    int has_to = call_option(c->call, "to") != NULL;
    int status = point_option(c->call, "from", from, &from);
    if (status == STATUS_OK)
        status = point_option(c->call, "to", (struct point){POINT_END, 0}, &to);
    if (status != STATUS_OK)
        return status;
    if (from.kind == POINT_STORED && !c->commits)
        return call_misused(c->call, "--from stored needs a group");
    c->is_member = c->commits && from.kind == POINT_STORED && !has_to &&
                   call_option(c->call, "partition") == NULL;
    c->is_bounded = has_to || call_option(c->call, "exit") != NULL;
    c->stops = need(calloc(c->target_count, sizeof *c->stops));
    c->nexts = need(calloc(c->target_count, sizeof *c->nexts));
    kfl_partition_offset *places = need(calloc(c->target_count, sizeof *places));
    for (size_t i = 0; i < c->target_count && status == STATUS_OK; i++) {
        const struct target *target = &c->targets[i];
        places[i].topic = target->topic;
        places[i].partition = target->partition;
        c->nexts[i] = -1;
        c->stops[i] = INT64_MAX;
        status = point_find(c->call, target, from, &places[i].offset);
        if (status == STATUS_OK && c->is_bounded)
            status = point_find(c->call, target, to, &c->stops[i]);
    }
    if (status == STATUS_OK) {
        int r = c->is_member
                    ? kfl_consumer_subscribe(c->consumer, (const char *const *)c->call->arguments,
                                             (size_t)c->call->argument_count)
                    : kfl_consumer_assign(c->consumer, places, c->target_count);
        status = r < 0 ? call_failed(r) : STATUS_OK;
    }
    c->open_count = c->target_count;
    for (size_t i = 0; i < c->target_count && status == STATUS_OK && !c->is_member; i++) {
        if (c->stops[i] <= c->targets[i].start_offset || c->stops[i] <= places[i].offset)
            status = close_target(c, i);
    }
    free(places);
    return status;
}

static int take_choices(struct consuming *c, kfl_config *config)
{
    const char *group = call_option(c->call, "group");
    const char *format = call_option(c->call, "format");
    const char *timeout = call_option(c->call, "timeout");
    c->as_json = call_option(c->call, "json") != NULL;
    c->as_lines = output_is_table();
    c->group = group;
    c->commits = group != NULL;
    c->timeout_ms = -1;
    if (c->as_json && format != NULL)
        return call_misused(c->call, "--json or --format, not both");
    if (timeout != NULL &&
        (!moment_parse_duration(timeout, &c->timeout_ms) || c->timeout_ms > INT32_MAX))
        return call_misused(c->call, "--timeout takes 500ms, 2s or 1m, not \"%s\"", timeout);
    int status = call_number(c->call, "max", 1, INT64_MAX, INT64_MAX, &c->most);
    if (status == STATUS_OK && format != NULL)
        status = format_parse(c->call, format, &c->format);
    int r = status == STATUS_OK && group != NULL ? kfl_config_set(config, "group.id", group) : 0;
    return r < 0 ? call_failed(r) : status;
}

int run_consume(struct call *call)
{
    struct consuming c = {.call = call};
    kfl_config *config = NULL;
    int r = kfl_config_create(&config);
    int status = r < 0 ? call_failed(r) : take_choices(&c, config);
    if (status == STATUS_OK)
        status = call_open(call, c.commits ? OPEN_TO_WRITE : OPEN_TO_READ);
    if (status == STATUS_OK)
        status =
            target_list(call, call->arguments, call->argument_count, &c.targets, &c.target_count);
    if (status == STATUS_OK) {
        r = kfl_consumer_open(call->store, config, &c.consumer);
        status = r < 0 ? call_failed(r) : assign(&c);
    }
    if (status == STATUS_OK)
        status = consume(&c);
    r = kfl_consumer_close(c.consumer);
    if (r < 0 && status == STATUS_OK)
        status = call_failed(r);
    kfl_config_destroy(config);
    format_free(c.format);
    free(c.targets);
    free(c.stops);
    free(c.nexts);
    return status;
}
