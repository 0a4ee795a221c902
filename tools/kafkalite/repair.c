/* SPDX-License-Identifier: MIT */
/* repair: a store that does not open any more, salvaged into a new one. */
#include <inttypes.h>

#include "call.h"
#include "findings.h"
#include "output.h"

int run_repair(struct call *call)
{
    const char *copy = call->arguments[0];
    kfl_findings *findings = NULL;
    char numbers[2][TEXT_NUMBER_SIZE];
    int status = call_directory(call);
    if (status != STATUS_OK)
        return status;
    int r = kfl_store_repair(call->directory, copy, &findings);
    if (r < 0)
        return call_failed(r);
    int32_t count = kfl_findings_count(findings);
    int64_t records = kfl_findings_checked_records(findings);
    int64_t bytes = kfl_findings_checked_bytes(findings);
    json_t *problems = findings_rows(findings);
    if (output_is_json())
        output_json(need_json(json_pack("{s:s, s:I, s:I, s:o}", "copy", copy, "copied_records",
                                        (json_int_t)records, "copied_bytes", (json_int_t)bytes,
                                        "problems", problems)));
    else
        findings_show(problems);
    say("copied %s records, %s, into %s; %" PRId32 " problem%s", text_of_count(records, numbers[0]),
        text_of_bytes(bytes, numbers[1]), copy, count, count == 1 ? "" : "s");
    say("not in the copy: committed offsets, properties of topics, what has no record; deleted records may be back");
    kfl_findings_release(findings);
    return count > 0 ? STATUS_DAMAGE : STATUS_OK;
}
