/* SPDX-License-Identifier: MIT */
/* What a check found wrong: a list that the caller owns. */
#ifndef KFL_API_FINDINGS_H
#define KFL_API_FINDINGS_H

#include <stdint.h>

#include "kafkalite.h"

int kfl__findings_create(kfl_findings **out_findings);
/* Copies topic, path and text. 0 or KFL_E_NOMEM. */
int kfl__findings_add(kfl_findings *findings, const kfl_finding *finding);
/* What was read. */
void kfl__findings_count_batch(kfl_findings *findings, int64_t records, int64_t bytes);

#endif
