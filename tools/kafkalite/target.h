/* SPDX-License-Identifier: MIT */
/* Which partitions a verb is about, and which points in them. */
#ifndef KAFKALITE_TARGET_H
#define KAFKALITE_TARGET_H

#include "call.h"

enum {
    POINT_BEGINNING,
    POINT_END,
    POINT_STORED,
    POINT_OFFSET,
    POINT_BACK, /* so many records before the end */
    POINT_TIME
};
struct point {
    int kind;
    int64_t number;
};

struct target {
    const char *topic; /* borrowed from the command line */
    int32_t partition;
    int64_t start_offset;
    int64_t end_offset;
};

/*
 * beginning, end, stored, N, -N, @TIME. Returns 1, or 0 for what is none. A time begins with @.
 */
int point_parse(const char *text, struct point *out_point);
/* The option as a point; STATUS_OK also when it was not given: then the fallback. */
int point_option(const struct call *call, const char *name, struct point fallback,
                 struct point *out_point);
/* The offset in a partition. KFL_OFFSET_STORED for that. Returns STATUS_OK, or what call_failed()
 * does. */
int point_find(struct call *call, const struct target *target, struct point point,
               int64_t *out_offset);

/* The partitions of these topics that --partition names (all, without it), with their offsets.
 * Owned: free(). */
int target_list(struct call *call, char **topics, int topic_count, struct target **out_targets,
                size_t *out_count);

#endif
