/* SPDX-License-Identifier: MIT */
/* What the verbs of groups share. */
#ifndef KAFKALITE_GROUPS_H
#define KAFKALITE_GROUPS_H

#include <jansson.h>

#include "call.h"

/* "Stable", as Kafka's tool says it. */
const char *group_state_word(int32_t state);
/* STATUS_OK when the store knows the group; if not, suggests one. */
int group_find(struct call *call, const char *name);
json_t *json_of_name(const char *name);
/*
 * A row for each offset that is committed, and for each partition that a member owns: group, topic, partition,
 * committed_offset, end_offset, lag, lag_ms, metadata, member.
 */
int group_add_rows(struct call *call, const kfl_group *group, const char *name, json_t *rows);
int64_t group_sum_of_lags(const json_t *rows);
int64_t group_longest_lag_ms(const json_t *rows);

#endif
