/* SPDX-License-Identifier: MIT */
/*
 * Options, directory, rounds and the printing of tables.
 *
 * A benchmark is one thread that calls bench_table() some times; nothing here is shared with the
 * threads that a row may start, but for the clock and the sources of records.
 */
#include "bench.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "kafkalite.h"

static struct {
    const char *name;
    const char *only;
    char *directory;
    bool quick, takes_long;
    bool json;
    bool no_peers;
    int tables; /* printed so far */
} bench;

static volatile sig_atomic_t stopping;

void bench_die(const char *format, ...)
{
    va_list arguments;
    fprintf(stderr, "bench %s: ", bench.name);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    bench_remove(bench.directory);
    exit(1);
}

int bench_out(struct bench_row *row, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(row->note, sizeof row->note, format, arguments);
    va_end(arguments);
    return -1;
}

bool bench_quick(void)
{
    return bench.quick;
}

bool bench_going_on(void)
{
    return stopping == 0;
}

char *bench_path(const char *name)
{
    char *path;
    if (asprintf(&path, "%s/%s", bench.directory, name) < 0)
        bench_die("out of memory");
    return path;
}

static void bench_on_signal(int number)
{
    (void)number;
    stopping = 1;
}

/* The first line of a file that begins with `start`, from behind its colon or blanks. */
static void bench_read_fact(const char *path, const char *start, char *out, size_t out_size)
{
    char line[512];
    snprintf(out, out_size, "unknown");
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return;
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, start, strlen(start)) != 0)
            continue;
        const char *from = line + strlen(start);
        from += strspn(from, " \t:");
        snprintf(out, out_size, "%.*s", (int)strcspn(from, "\n"), from);
        break;
    }
    fclose(file);
}

/* The type of the file system that holds the directory: of the longest mount point above it. */
static void bench_file_system(char *out, size_t out_size)
{
    char line[1024], point[512], type[64];
    size_t longest = 0;
    char *real = realpath(bench.directory, NULL);
    FILE *file = fopen("/proc/mounts", "re");
    snprintf(out, out_size, "unknown");
    while (real != NULL && file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "%*s %511s %63s", point, type) != 2)
            continue;
        size_t size = strlen(point);
        bool root = size == 1;
        if (size >= longest && strncmp(real, point, size) == 0 &&
            (root || real[size] == '/' || real[size] == '\0')) {
            longest = size;
            snprintf(out, out_size, "%s", type);
        }
    }
    if (file != NULL)
        fclose(file);
    free(real);
}

static void bench_print_environment(void)
{
    struct utsname system;
    char cpu[128], file_system[64], day[32];
    time_t now = time(NULL);
    struct tm broken;
    uname(&system);
    bench_read_fact("/proc/cpuinfo", "model name", cpu, sizeof cpu);
    bench_file_system(file_system, sizeof file_system);
    strftime(day, sizeof day, "%Y-%m-%d", gmtime_r(&now, &broken));
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    if (bench.json) {
        printf("{\"bench\": \"%s\", \"quick\": %s, \"date\": \"%s\", \"kernel\": \"%s\", \"cpu\": "
               "\"%s\", "
               "\"cpus\": %ld, \"file_system\": \"%s\", \"build\": \"%s\",\n \"rows\": [",
               bench.name, bench.quick ? "true" : "false", day, system.release, cpu, cpus,
               file_system, kfl_build_info());
        return;
    }
    printf("# %s%s\n%s, Linux %s, %ld x %s, %s\n%s\n", bench.name, bench.quick ? " (quick)" : "",
           day, system.release, cpus, cpu, file_system, kfl_build_info());
}

void bench_start(int argc, char **argv, const char *name)
{
    static const struct option options[] = {
        {"json", no_argument, NULL, 'j'},      {"quick", no_argument, NULL, 'q'},
        {"dir", required_argument, NULL, 'd'}, {"only", required_argument, NULL, 'o'},
        {"no-peers", no_argument, NULL, 'n'},  {NULL, 0, NULL, 0}};
    const char *parent = getenv("TMPDIR");
    int option;
    bench.name = name;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'j')
            bench.json = true;
        else if (option == 'q')
            bench.quick = true;
        else if (option == 'd')
            parent = optarg;
        else if (option == 'o')
            bench.only = optarg;
        else if (option == 'n')
            bench.no_peers = true;
        else
            exit(2);
    }
    if (optind < argc) {
        fprintf(stderr, "usage: %s [--quick] [--json] [--dir DIR] [--only TABLE] [--no-peers]\n",
                argv[0]);
        exit(2);
    }
    if (parent == NULL || parent[0] == '\0')
        parent = "/tmp";
    if (asprintf(&bench.directory, "%s/kafkalite-bench-XXXXXX", parent) < 0 ||
        mkdtemp(bench.directory) == NULL) {
        fprintf(stderr, "bench %s: cannot make a directory in %s: %s\n", name, parent,
                strerror(errno));
        exit(1);
    }
    struct sigaction action = {.sa_handler = bench_on_signal,
                               .sa_flags = SA_RESTART | (int)SA_RESETHAND};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    bench_recycle_memory((size_t)(bench.quick ? 1 : 3) << 30);
    bench_print_environment();
}

int bench_finish(void)
{
    if (bench.json)
        printf("\n]}\n");
    bench_remove(bench.directory);
    free(bench.directory);
    return stopping != 0 ? 130 : 0;
}

void bench_burst_begin(int side)
{
    cpu_set_t set;
    struct sched_param first = {.sched_priority = 1};
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    CPU_ZERO(&set);
    CPU_SET((size_t)(side % processors), &set);
    (void)pthread_setaffinity_np(pthread_self(), sizeof set, &set);
    (void)pthread_setschedparam(pthread_self(), SCHED_FIFO, &first);
}

void bench_burst_aside(int side)
{
    cpu_set_t set;
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    if (processors < 2)
        return;
    CPU_ZERO(&set);
    for (long cpu = 0; cpu < processors; cpu++)
        if (cpu != side % processors)
            CPU_SET((size_t)cpu, &set);
    (void)pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

void bench_burst_end(void)
{
    cpu_set_t set;
    struct sched_param last = {0};
    CPU_ZERO(&set);
    for (long cpu = 0; cpu < sysconf(_SC_NPROCESSORS_ONLN); cpu++)
        CPU_SET((size_t)cpu, &set);
    (void)pthread_setschedparam(pthread_self(), SCHED_OTHER, &last);
    (void)pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

static int bench_compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

double bench_quantile(double *values, size_t count, double part)
{
    if (count == 0)
        return 0;
    qsort(values, count, sizeof *values, bench_compare);
    size_t index = (size_t)(part * (double)count);
    if (part == 0.5 && count % 2 == 0)
        return (values[count / 2 - 1] + values[count / 2]) / 2;
    return values[index < count ? index : count - 1];
}

/* What is printed of one row. */
struct bench_result {
    double ns_median, ns_min;
    double ratio, ratio_best; /* 0: no limit to compare with */
};

static struct bench_result bench_evaluate(const struct bench_row *row,
                                          const struct bench_row *limit)
{
    struct bench_result result = {0};
    double sorted[BENCH_ROUNDS_MAX], ratios[BENCH_ROUNDS_MAX];
    size_t count = (size_t)row->rounds;
    memcpy(sorted, row->ns, count * sizeof *sorted);
    result.ns_median = bench_quantile(sorted, count, 0.5);
    result.ns_min = sorted[0];
    if (limit == NULL || limit->rounds < row->rounds)
        return result;
    for (size_t i = 0; i < count; i++)
        ratios[i] = row->ns[i] / limit->ns[i];
    result.ratio = bench_quantile(ratios, count, 0.5);
    memcpy(sorted, limit->ns, count * sizeof *sorted);
    bench_quantile(sorted, count, 0.5);
    result.ratio_best = result.ns_min / sorted[0];
    if (row->bar.measure == BENCH_RATE) {
        result.ratio = 1 / result.ratio;
        result.ratio_best = 1 / result.ratio_best;
    }
    return result;
}

static const char *bench_verdict(const struct bench_row *row, const struct bench_result *result)
{
    const struct bench_bar *bar = &row->bar;
    if (bar->must == 0 && bar->goal == 0)
        return "";
    double value = bar->measure == BENCH_NS ? result->ns_median : result->ratio;
    bool more = bar->measure == BENCH_RATE;
    if (bar->goal != 0 && (more ? value >= bar->goal : value <= bar->goal))
        return "goal";
    if (bar->must != 0 && (more ? value >= bar->must : value <= bar->must))
        return "must";
    return "MISSED";
}

/* "<= 3x / 2x": a bar as must / goal. */
static void bench_print_bar(const struct bench_bar *bar, char *out, size_t out_size)
{
    const char *sign = bar->measure == BENCH_RATE ? ">=" : "<=";
    const char *unit = bar->measure == BENCH_NS ? " ns" : "x";
    if (bar->must == 0 && bar->goal == 0)
        out[0] = '\0';
    else if (bar->must == 0)
        snprintf(out, out_size, "%s - / %.4g%s", sign, bar->goal, unit);
    else if (bar->goal == 0)
        snprintf(out, out_size, "%s %.4g%s / -", sign, bar->must, unit);
    else
        snprintf(out, out_size, "%s %.4g / %.4g%s", sign, bar->must, bar->goal, unit);
}

/* Three or four significant digits, whatever the size. */
static void bench_print_number(double value, char *out, size_t out_size)
{
    if (value >= 1e6)
        snprintf(out, out_size, "%.3gM", value / 1e6);
    else if (value >= 1e5)
        snprintf(out, out_size, "%.0fk", value / 1e3);
    else
        snprintf(out, out_size, "%.*f", value < 10 ? 2 : value < 100 ? 1 : 0, value);
}

/* Texts of errors may hold quotes. */
static void bench_print_json_text(const char *name, const char *text)
{
    printf("\"%s\": \"", name);
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            putchar('\\');
        putchar((unsigned char)*text < ' ' ? ' ' : *text);
    }
    putchar('"');
}

static void bench_print_json(const char *title, const struct bench_row *row,
                             const struct bench_result *result)
{
    static const char *const roles[] = {"limit", "ours", "peer", "note"};
    static const char *const measures[] = {"time", "rate", "ns"};
    printf("%s\n  {\"table\": \"%s\", \"row\": \"%s\", \"role\": \"%s\"",
           bench.tables > 0 ? "," : "", title, row->name, roles[row->role]);
    if (row->rounds > 0)
        printf(", \"rounds\": %d, \"ns_median\": %.3f, \"ns_min\": %.3f, \"per_second\": %.1f",
               row->rounds, result->ns_median, result->ns_min, 1e9 / result->ns_median);
    if (row->rounds > 0 && row->bytes > 0)
        printf(", \"mb_per_second\": %.1f", row->bytes * 1e3 / result->ns_median);
    if (result->ratio > 0)
        printf(", \"ratio\": %.4f, \"ratio_best\": %.4f", result->ratio, result->ratio_best);
    if (row->bar.must > 0 || row->bar.goal > 0)
        printf(", \"measure\": \"%s\", \"must\": %.4g, \"goal\": %.4g, \"verdict\": \"%s\"",
               measures[row->bar.measure], row->bar.must, row->bar.goal,
               row->rounds > 0 ? bench_verdict(row, result) : "out");
    printf(", ");
    bench_print_json_text("note", row->note);
    putchar('}');
    bench.tables++;
}

static void bench_print_row(const struct bench_row *row, const struct bench_result *result)
{
    char median[16], least[16], rate[16], ratio[24] = "", bar[32], speed[16] = "";
    if (row->rounds == 0) {
        printf("%-36s %s\n", row->name, row->note[0] != '\0' ? row->note : "did not run");
        return;
    }
    bench_print_number(result->ns_median, median, sizeof median);
    bench_print_number(result->ns_min, least, sizeof least);
    bench_print_number(1e9 / result->ns_median, rate, sizeof rate);
    if (row->bytes > 0)
        bench_print_number(row->bytes * 1e3 / result->ns_median, speed, sizeof speed);
    if (result->ratio > 0)
        snprintf(ratio, sizeof ratio, "%.3gx (%.3gx)", result->ratio, result->ratio_best);
    bench_print_bar(&row->bar, bar, sizeof bar);
    printf("%-36s %8s %8s %8s %8s  %-17s %-16s %-6s %s\n", row->name, median, least, rate, speed,
           ratio, bar, bench_verdict(row, result), row->note);
}

static void bench_print_table(const char *title, const struct bench_row *rows, size_t row_count)
{
    const struct bench_row *limit = NULL;
    if (!bench.json)
        printf("\n%-36s %8s %8s %8s %8s  %-17s %s\n", title, "ns", "min ns", "/s", "MB/s",
               "ratio (of minima)", "must / goal");
    for (size_t i = 0; i < row_count; i++) {
        if (rows[i].left_out)
            continue;
        if (rows[i].role == BENCH_LIMIT)
            limit = &rows[i];
        struct bench_result result = {0};
        if (rows[i].rounds > 0)
            result = bench_evaluate(&rows[i], limit == &rows[i] ? NULL : limit);
        if (bench.json)
            bench_print_json(title, &rows[i], &result);
        else
            bench_print_row(&rows[i], &result);
    }
    fflush(stdout);
}

void bench_take_long(void)
{
    bench.takes_long = true;
}

void bench_table(const char *title, struct bench_row *rows, size_t row_count)
{
    int rounds = bench.quick ? 5 : bench.takes_long ? 3 : 11;
    if (!bench_going_on() || (bench.only != NULL && strstr(title, bench.only) == NULL))
        return;
    for (size_t i = 0; i < row_count; i++) {
        rows[i].rounds = 0;
        rows[i].left_out = bench.no_peers && rows[i].role == BENCH_PEER;
        rows[i].out = rows[i].left_out || (rows[i].open != NULL && rows[i].open(&rows[i]) < 0);
    }
    for (int round = -1; round < rounds && bench_going_on(); round++) {
        for (size_t i = 0; i < row_count; i++) {
            if (rows[i].out)
                continue;
            double ns = rows[i].run(&rows[i]);
            rows[i].out = ns < 0;
            /* The first round warms up and is not counted; a row that fails later is not printed.
             */
            if (rows[i].out)
                rows[i].rounds = 0;
            else if (round >= 0)
                rows[i].ns[rows[i].rounds++] = ns;
        }
    }
    for (size_t i = 0; i < row_count; i++) {
        if (rows[i].close != NULL && !rows[i].left_out)
            rows[i].close(&rows[i]);
    }
    bench_print_table(title, rows, row_count);
}
