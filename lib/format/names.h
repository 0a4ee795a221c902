/* SPDX-License-Identifier: MIT */
/* File names: (segment id, kind) <-> name. Every suffix of the store is here. */
#ifndef KFL_FORMAT_NAMES_H
#define KFL_FORMAT_NAMES_H

#include <stdbool.h>
#include <stdint.h>

#define KFL_NAME_LOCK "LOCK"
#define KFL_NAME_STATE "state"
#define KFL_NAME_CATALOG "catalog.mdb"
#define KFL_NAME_TOPICS "topics"

enum kfl__name_kind { KFL_NAME_LOG, KFL_NAME_OFFSETS, KFL_NAME_TIMES };

#define KFL_NAME_SIZE 32
/* "00000000000000000007.log" */
void kfl__name_encode(char out_name[KFL_NAME_SIZE], int64_t segment_id, enum kfl__name_kind kind);
/* false: not a name of ours. */
bool kfl__name_decode(const char *name, int64_t *out_segment_id, enum kfl__name_kind *out_kind);

/*
 * KFL_E_INVALID_TOPIC with text unless it matches [a-zA-Z0-9._-]{1,249} and is neither "." nor
 * "..".
 */
int kfl__topic_name_check(const char *name);

#endif
