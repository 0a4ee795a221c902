/* SPDX-License-Identifier: MIT */
/* What verify and repair found wrong, as rows. */
#include "findings.h"

#include <string.h>

#include "call.h"
#include "output.h"

static const char *kind_name(int32_t kind)
{
    static const char *const names[] = {"unknown", "damage", "missing-file",
                                        "index",   "order",  "catalog"};
    return kind > 0 && kind < 6 ? names[kind] : names[0];
}

json_t *findings_rows(const kfl_findings *findings)
{
    json_t *rows = need_json(json_array());
    for (int32_t i = 0; i < kfl_findings_count(findings); i++) {
        const kfl_finding *finding = kfl_findings_get(findings, i);
        const char *path = finding->path != NULL ? finding->path : "";
        json_array_append_new(
            rows, need_json(json_pack(
                      "{s:s, s:s?, s:o, s:o, s:o, s:o, s:o, s:o}", "kind", kind_name(finding->kind),
                      "topic", finding->topic, "partition", json_or_null(finding->partition),
                      "offset", json_or_null(finding->offset), "end_offset",
                      json_or_null(finding->end_offset), "place", json_or_null(finding->place),
                      "path", need_json(text_to_json(path, strlen(path))), "text",
                      need_json(text_to_json(finding->text, strlen(finding->text))))));
    }
    return rows;
}

void findings_show(json_t *rows)
{
    static const struct column columns[] = {{"kind", "PROBLEM", COLUMN_TEXT},
                                            {"topic", "TOPIC", COLUMN_TEXT},
                                            {"partition", "PARTITION", COLUMN_NUMBER},
                                            {"offset", "OFFSET", COLUMN_COUNT},
                                            {"end_offset", "END", COLUMN_COUNT},
                                            {"place", "PLACE", COLUMN_NUMBER},
                                            {"path", "PATH", COLUMN_TEXT},
                                            {"text", "TEXT", COLUMN_TEXT},
                                            {NULL, NULL, 0}};
    output_rows("problems", columns, rows);
}
