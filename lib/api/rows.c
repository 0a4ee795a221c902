/* SPDX-License-Identifier: MIT */
/* Polled records taken apart: the headers of one, and all of them packed for a binding. */
#include <string.h>

#include "api/records.h"
#include "base/bytes.h"
#include "base/error.h"

int kfl_record_header(const kfl_record *record, int32_t index, kfl_header *out_header)
{
    if (record == NULL || out_header == NULL)
        return kfl__fail(KFL_E_INVALID, "kfl_record_header: %s is NULL", record == NULL ? "record" : "out_header");
    if (index < 0 || index >= record->header_count)
        return kfl__fail(KFL_E_INVALID, "kfl_record_header: no header %d: the record has %d", index, record->header_count);
    const uint8_t *at = record->packed_headers;
    for (;; index--) {
        /* Sizes were checked when the record was decoded. */
        uint32_t name_size = kfl__load32(at);
        int32_t value_size = (int32_t)kfl__load32(at + 4);
        const uint8_t *name = at + KFL_HEADER_HEAD_SIZE;
        const uint8_t *value = name + name_size + 1;
        if (index == 0) {
            out_header->name = (const char *)name;
            out_header->value = value_size < 0 ? NULL : value;
            out_header->value_size = value_size < 0 ? 0 : (size_t)value_size;
            return 0;
        }
        at = value + (value_size < 0 ? 0 : value_size);
    }
}

int kfl_records_pack(const kfl_records *records, kfl_packed_row *rows, void *bytes, size_t bytes_size, size_t *out_bytes_size)
{
    if (records == NULL)
        return kfl__fail(KFL_E_INVALID, "kfl_records_pack: records is NULL");
    size_t size = 0;
    int32_t count = kfl_records_count(records);
    const kfl_record *record = kfl_records_get(records, 0);
    for (int32_t i = 0; i < count; i++)
        size += record[i].key_size + record[i].value_size + record[i].packed_headers_size;
    if (out_bytes_size != NULL)
        *out_bytes_size = size;
    if (rows == NULL)
        return count;
    if (size > bytes_size || (bytes == NULL && size > 0))
        return kfl__fail(KFL_E_INVALID, "kfl_records_pack: %zu bytes are needed, %zu are there", size, bytes_size);
    uint8_t *to = bytes;
    const char *topic = NULL;
    int32_t topic_index = 0;
    for (int32_t i = 0; i < count; i++, record++) {
        if (record->topic != topic) {
            topic = record->topic;
            topic_index = kfl__records_topic_index(records, topic);
        }
        rows[i] = (kfl_packed_row){
            .offset = record->offset,
            .timestamp_ms = record->timestamp_ms,
            .partition = record->partition,
            .key_size = record->key == NULL ? -1 : (int32_t)record->key_size,
            .value_size = record->value == NULL ? -1 : (int32_t)record->value_size,
            .header_count = record->header_count,
            .headers_size = (int32_t)record->packed_headers_size,
            .topic_index = topic_index,
        };
        if (record->key_size > 0)
            memcpy(to, record->key, record->key_size);
        to += record->key_size;
        if (record->value_size > 0)
            memcpy(to, record->value, record->value_size);
        to += record->value_size;
        if (record->packed_headers_size > 0)
            memcpy(to, record->packed_headers, record->packed_headers_size);
        to += record->packed_headers_size;
    }
    return count;
}
