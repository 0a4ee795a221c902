/* SPDX-License-Identifier: MIT */
/* Moments as text, and back: local time, or UTC once moment_use_utc() was called. */
#ifndef KAFKALITE_MOMENT_H
#define KAFKALITE_MOMENT_H

#include "text.h"

void moment_use_utc(void);
int64_t moment_now_ms(void);
double moment_steady_seconds(void); /* for measuring */

const char *moment_text(int64_t time_ms,
                        char buffer[TEXT_NUMBER_SIZE]); /* 2026-11-20 09:00:01.123 */
const char *moment_clock(int64_t time_ms, char buffer[TEXT_NUMBER_SIZE]); /* 09:00:01.123 */
/* By a format of strftime; NULL: RFC 3339 with milliseconds. */
void moment_add(struct text *text, const char *format, int64_t time_ms);

/*
 * RFC 3339, a day, "now", "-1h", seconds or (12 digits and more) milliseconds since 1970. Returns
 * 1, or 0 for what is no time.
 */
int moment_parse(const char *text, int64_t *out_time_ms);
/* A number and ms, s, m, h, d or w; without a unit: seconds. Or as Kafka's tools take it: P1DT2H30M. */
int moment_parse_duration(const char *text, int64_t *out_ms);

#endif
