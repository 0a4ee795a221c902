/* SPDX-License-Identifier: MIT */
/* What a check found wrong, and how much it read to find it. */
#include "api/findings.h"

#include <string.h>

#include "base/error.h"
#include "base/memory.h"

struct kfl_findings {
    kfl_finding *rows; /* the topic of each begins a block that holds path and text too */
    int32_t count, room;
    int64_t checked_records, checked_bytes;
};

static int findings_nomem(void)
{
    return kfl__fail(KFL_E_NOMEM, "a list of findings: out of memory");
}

int kfl__findings_create(kfl_findings **out_findings)
{
    kfl_findings *findings = kfl__alloc(sizeof *findings);
    if (findings == NULL)
        return findings_nomem();
    *out_findings = findings;
    return 0;
}

int kfl__findings_add(kfl_findings *findings, const kfl_finding *finding)
{
    if (findings->count == findings->room) {
        int32_t room = findings->room == 0 ? 16 : findings->room * 2;
        kfl_finding *grown = kfl__realloc(findings->rows, (size_t)room * sizeof *grown);
        if (grown == NULL)
            return findings_nomem();
        findings->rows = grown;
        findings->room = room;
    }
    size_t topic_size = strlen(finding->topic) + 1;
    size_t path_size = strlen(finding->path) + 1;
    size_t text_size = strlen(finding->text) + 1;
    char *block = kfl__alloc(topic_size + path_size + text_size);
    if (block == NULL)
        return findings_nomem();
    kfl_finding *row = &findings->rows[findings->count++];
    *row = *finding;
    row->topic = memcpy(block, finding->topic, topic_size);
    row->path = memcpy(block + topic_size, finding->path, path_size);
    row->text = memcpy(block + topic_size + path_size, finding->text, text_size);
    return 0;
}

void kfl__findings_count_batch(kfl_findings *findings, int64_t records, int64_t bytes)
{
    findings->checked_records += records;
    findings->checked_bytes += bytes;
}

int32_t kfl_findings_count(const kfl_findings *findings)
{
    return findings == NULL ? 0 : findings->count;
}

const kfl_finding *kfl_findings_get(const kfl_findings *findings, int32_t index)
{
    return findings == NULL || index < 0 || index >= findings->count ? NULL
                                                                     : &findings->rows[index];
}

int64_t kfl_findings_checked_records(const kfl_findings *findings)
{
    return findings == NULL ? 0 : findings->checked_records;
}

int64_t kfl_findings_checked_bytes(const kfl_findings *findings)
{
    return findings == NULL ? 0 : findings->checked_bytes;
}

void kfl_findings_release(kfl_findings *findings)
{
    if (findings == NULL)
        return;
    for (int32_t i = 0; i < findings->count; i++)
        kfl__free((char *)(uintptr_t)findings->rows[i].topic);
    kfl__free(findings->rows);
    kfl__free(findings);
}
