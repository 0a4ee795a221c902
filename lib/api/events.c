/* SPDX-License-Identifier: MIT */
/* Events: what a consumer has to be told, in order with its records. */
#include <string.h>

#include "api/consumer.h"
#include "base/memory.h"

kfl_event *kfl__event_push(kfl_consumer *consumer, int32_t kind)
{
    kfl_event *event = kfl__alloc(sizeof *event);
    if (event == NULL) {
        kfl__fail(KFL_E_NOMEM, "an event: out of memory");
        return NULL;
    }
    event->kind = kind;
    event->partition = -1;
    event->offset = event->end_offset = -1;
    *consumer->last_event = event;
    consumer->last_event = &event->next;
    return event;
}

int kfl__event_fail(void)
{
    return kfl__fail(KFL_E_EVENT, "something happened: ask kfl_consumer_next_event()");
}

void kfl__events_drop(kfl_consumer *consumer)
{
    while (consumer->events != NULL) {
        kfl_event *next = consumer->events->next;
        kfl_event_release(consumer->events);
        consumer->events = next;
    }
    consumer->last_event = &consumer->events;
}

int kfl_consumer_next_event(kfl_consumer *consumer, kfl_event **out_event)
{
    if (out_event == NULL)
        return kfl__fail(KFL_E_INVALID, "kfl_consumer_next_event: out_event is NULL");
    int r = kfl__consumer_enter(consumer);
    if (r < 0)
        return r;
    kfl_event *event = consumer->events;
    if (event != NULL) {
        consumer->events = event->next;
        if (consumer->events == NULL)
            consumer->last_event = &consumer->events;
        event->next = NULL;
        *out_event = event;
    }
    return kfl__consumer_leave(consumer, event != NULL);
}

int32_t kfl_event_kind(const kfl_event *event)
{
    return event == NULL ? 0 : event->kind;
}

const char *kfl_event_topic(const kfl_event *event)
{
    return event == NULL ? "" : event->topic;
}

int32_t kfl_event_partition(const kfl_event *event)
{
    return event == NULL ? -1 : event->partition;
}

int64_t kfl_event_offset(const kfl_event *event)
{
    return event == NULL ? -1 : event->offset;
}

int64_t kfl_event_end_offset(const kfl_event *event)
{
    return event == NULL ? -1 : event->end_offset;
}

const char *kfl_event_text(const kfl_event *event)
{
    return event == NULL ? "" : event->text;
}

static bool event_is_of_group(const kfl_event *event)
{
    return event->kind >= KFL_EVENT_ASSIGNED && event->kind <= KFL_EVENT_ASSIGN_NEEDED;
}

int32_t kfl_event_generation(const kfl_event *event)
{
    return event == NULL || !event_is_of_group(event) ? -1 : event->generation;
}

int kfl_event_code(const kfl_event *event)
{
    return event == NULL ? 0 : event->code;
}

int64_t kfl_event_ticket(const kfl_event *event)
{
    return event == NULL ? 0 : event->ticket;
}

const kfl_offsets *kfl_event_offsets(const kfl_event *event)
{
    return event == NULL ? NULL : event->offsets;
}

const kfl_group *kfl_event_group(const kfl_event *event)
{
    return event == NULL ? NULL : event->group;
}

void kfl_event_release(kfl_event *event)
{
    if (event == NULL)
        return;
    kfl_offsets_release(event->offsets);
    kfl_group_release(event->group);
    kfl__free(event);
}
