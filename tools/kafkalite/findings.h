/* SPDX-License-Identifier: MIT */
/* What verify and repair found wrong, as rows. */
#ifndef KAFKALITE_FINDINGS_H
#define KAFKALITE_FINDINGS_H

#include <jansson.h>

#include "kafkalite.h"

/* Owned. */
json_t *findings_rows(const kfl_findings *findings);
/* The rows, which go over, under their heading. */
void findings_show(json_t *rows);

#endif
