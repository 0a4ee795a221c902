/* SPDX-License-Identifier: MIT */
/*
 * Moments: milliseconds since 1970 UTC inside, the words that people type and read outside.
 */
#include "moment.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int in_utc;

void moment_use_utc(void)
{
    in_utc = 1;
}

int64_t moment_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

double moment_steady_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* The calendar's view of a time; 0 for one that no calendar has. */
static int break_down(int64_t time_ms, struct tm *out_tm, int *out_ms)
{
    int64_t seconds = time_ms / 1000;
    int ms = (int)(time_ms % 1000);
    if (ms < 0) {
        ms += 1000;
        seconds--;
    }
    time_t when = (time_t)seconds;
    *out_ms = ms;
    return (in_utc ? gmtime_r(&when, out_tm) : localtime_r(&when, out_tm)) != NULL;
}

static const char *print_moment(const char *format, int64_t time_ms, char buffer[TEXT_NUMBER_SIZE])
{
    struct tm tm;
    int ms;
    char seconds[TEXT_NUMBER_SIZE];
    if (!break_down(time_ms, &tm, &ms) || strftime(seconds, 30, format, &tm) == 0)
        snprintf(buffer, TEXT_NUMBER_SIZE, "%" PRId64, time_ms);
    else
        snprintf(buffer, TEXT_NUMBER_SIZE, "%.30s.%03d", seconds, ms);
    return buffer;
}

const char *moment_text(int64_t time_ms, char buffer[TEXT_NUMBER_SIZE])
{
    return print_moment("%Y-%m-%d %H:%M:%S", time_ms, buffer);
}

const char *moment_clock(int64_t time_ms, char buffer[TEXT_NUMBER_SIZE])
{
    return print_moment("%H:%M:%S", time_ms, buffer);
}

void moment_add(struct text *text, const char *format, int64_t time_ms)
{
    struct tm tm;
    int ms;
    char printed[256];
    if (!break_down(time_ms, &tm, &ms)) {
        text_add_format(text, "%" PRId64, time_ms);
        return;
    }
    if (format != NULL) {
        text_add(text, printed, strftime(printed, sizeof printed, format, &tm));
        return;
    }
    strftime(printed, sizeof printed, "%Y-%m-%dT%H:%M:%S", &tm);
    long minutes = tm.tm_gmtoff / 60;
    text_add_format(text, "%s.%03d", printed, ms);
    if (minutes == 0)
        text_add(text, "Z", 1);
    else
        text_add_format(text, "%c%02ld:%02ld", minutes < 0 ? '-' : '+', labs(minutes) / 60,
                        labs(minutes) % 60);
}

/* ISO 8601: P, then weeks and days, then T with hours, minutes and seconds; each at most once, in this order. */
static int parse_period(const char *text, int64_t *out_ms)
{
    static const char units[] = "WDTHMS";
    static const double ms[] = {6048e5, 864e5, 0, 36e5, 6e4, 1e3};
    double sum = 0;
    int any = 0;
    for (const char *unit = units; *text != '\0'; text++) {
        double number = 0;
        if (*text == 'T') {
            if (unit > units + 2 || text[1] == '\0')
                return 0;
            unit = units + 3;
            continue;
        }
        if (*text < '0' || *text > '9')
            return 0;
        char *end;
        number = strtod(text, &end);
        text = end;
        const char *found = *text == '\0' || *text == 'T' ? NULL : strchr(unit, *text);
        if (found == NULL || (found > units + 2 && unit <= units + 2))
            return 0;
        sum += number * ms[found - units];
        unit = found + 1;
        any = 1;
    }
    if (!any || !(sum <= 9e15))
        return 0;
    *out_ms = (int64_t)(sum + 0.5);
    return 1;
}

int moment_parse_duration(const char *text, int64_t *out_ms)
{
    static const struct {
        const char *unit;
        double ms;
    } units[] = {{"", 1e3},   {"ms", 1},    {"s", 1e3},   {"m", 6e4},
                 {"h", 36e5}, {"d", 864e5}, {"w", 6048e5}};
    char *end;
    if (text[0] == 'P')
        return parse_period(text + 1, out_ms);
    if (text[0] < '0' || text[0] > '9')
        return 0;
    double number = strtod(text, &end);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strcmp(end, units[i].unit) == 0) {
            double ms = number * units[i].ms;
            if (!(ms <= 9e15))
                return 0;
            *out_ms = (int64_t)(ms + 0.5);
            return 1;
        }
    }
    return 0;
}

/* "Z", "+02:00", "-0530" or nothing, to the end of the text. */
static int parse_zone(const char *text, struct tm *tm, int64_t *out_seconds)
{
    if (*text == '\0') {
        tm->tm_isdst = -1;
        *out_seconds = in_utc ? (int64_t)timegm(tm) : (int64_t)mktime(tm);
        return 1;
    }
    int hours = 0;
    int minutes = 0;
    int used = 0;
    if (strcmp(text, "Z") == 0 || strcmp(text, "z") == 0) {
        used = 1;
    } else if (*text == '+' || *text == '-') {
        if (sscanf(text + 1, "%2d:%2d%n", &hours, &minutes, &used) < 2 || used == 0) {
            used = 0;
            if (sscanf(text + 1, "%2d%2d%n", &hours, &minutes, &used) < 2 || used == 0)
                return 0;
        }
        used++;
        if (hours < 0 || minutes < 0 || hours > 23 || minutes > 59)
            return 0;
    }
    if (used == 0 || text[used] != '\0')
        return 0;
    int64_t ahead = (hours * 60 + minutes) * 60;
    *out_seconds = (int64_t)timegm(tm) - (*text == '-' ? -ahead : ahead);
    return 1;
}

static int parse_calendar(const char *text, int64_t *out_time_ms)
{
    struct tm tm = {0};
    int used = 0;
    if (sscanf(text, "%4d-%2d-%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &used) < 3 ||
        used != 10)
        return 0;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    if (tm.tm_mon < 0 || tm.tm_mon > 11 || tm.tm_mday < 1 || tm.tm_mday > 31)
        return 0;
    text += used;
    int ms = 0;
    if (*text == 'T' || *text == 't' || *text == ' ') {
        text++;
        used = 0;
        if (sscanf(text, "%2d:%2d%n", &tm.tm_hour, &tm.tm_min, &used) < 2 || used != 5)
            return 0;
        text += used;
        if (*text == ':') {
            used = 0;
            if (sscanf(text, ":%2d%n", &tm.tm_sec, &used) < 1 || used != 3)
                return 0;
            text += used;
        }
        if (tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 60)
            return 0;
        if (*text == '.') {
            int scale = 100;
            for (text++; *text >= '0' && *text <= '9'; text++) {
                ms += (*text - '0') * scale;
                scale /= 10;
            }
        }
    }
    int64_t seconds;
    if (!parse_zone(text, &tm, &seconds))
        return 0;
    *out_time_ms = seconds * 1000 + ms;
    return 1;
}

int moment_parse(const char *text, int64_t *out_time_ms)
{
    int64_t number;
    if (strcmp(text, "now") == 0) {
        *out_time_ms = moment_now_ms();
        return 1;
    }
    if (*text == '-' && moment_parse_duration(text + 1, &number)) {
        *out_time_ms = moment_now_ms() - number;
        return 1;
    }
    if (*text != '-' && text_to_number(text, &number)) {
        /* Twelve digits of seconds would be the year 5138. */
        *out_time_ms = strlen(text) >= 12 ? number : number * 1000;
        return 1;
    }
    return parse_calendar(text, out_time_ms);
}
