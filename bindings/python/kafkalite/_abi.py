# SPDX-License-Identifier: MIT
"""include/kafkalite.h as ctypes knows it; a test compares the two.

FUNCTIONS has, by name without its kfl_, the result and the parameters of each function; STRUCTURES
the structs that cross the border.
"""
from __future__ import annotations

import ctypes
from typing import Any, Dict, Tuple

# What a C type is here. CODE is an int that is an error when negative.
CODE = "code"
NONE = None
I32 = ctypes.c_int32
I64 = ctypes.c_int64
SIZE = ctypes.c_size_t
STR = ctypes.c_char_p
PTR = ctypes.c_void_p

FUNCTIONS: Dict[str, Tuple[Any, ...]] = {
    "version": (I32,),
    "version_string": (STR,),
    "build_info": (STR,),
    "format_version": (I32,),
    "error_name": (STR, I32),
    "error_text": (STR, I32),
    "last_error": (STR,),
    "last_error_code": (I32,),
    "last_error_path": (STR,),
    "last_error_topic": (STR,),
    "last_error_partition": (I32,),
    "last_error_offset": (I64,),
    "last_error_errno": (I32,),
    "thread_patience": (CODE, I32),
    "config_create": (CODE, PTR),
    "config_destroy": (NONE, PTR),
    "config_set": (CODE, PTR, STR, STR),
    "config_set_int64": (CODE, PTR, STR, I64),
    "config_get": (STR, PTR, STR),
    "config_is_set": (I32, PTR, STR),
    "property_name": (STR, I32),
    "property_scope": (STR, STR),
    "property_type": (STR, STR),
    "property_default": (STR, STR),
    "property_accepts": (STR, STR),
    "property_text": (STR, STR),
    "store_open": (CODE, STR, PTR, PTR),
    "store_close": (CODE, PTR),
    "store_path": (STR, PTR),
    "store_set_clock": (CODE, PTR, I64),
    "store_sync": (CODE, PTR, I32),
    "store_maintain": (CODE, PTR, I32, PTR),
    "topic_create": (CODE, PTR, STR, I32, PTR),
    "topic_delete": (CODE, PTR, STR),
    "topic_add_partitions": (CODE, PTR, STR, I32),
    "topic_alter": (CODE, PTR, STR, PTR),
    "topic_set": (CODE, PTR, STR, STR, STR),
    "topic_partition_count": (CODE, PTR, STR),
    "topic_compact": (CODE, PTR, STR, I32, I32, PTR),
    "topic_retain": (CODE, PTR, STR, PTR),
    "topic_plan": (CODE, PTR, STR, I32, PTR),
    "topic_forget": (CODE, PTR, STR, PTR, SIZE, PTR),
    "plan_count": (I32, PTR),
    "plan_get": (PTR, PTR, I32),
    "plan_release": (NONE, PTR),
    "topic_config": (CODE, PTR, STR, PTR),
    "topic_list": (CODE, PTR, PTR),
    "names_count": (I32, PTR),
    "names_get": (STR, PTR, I32),
    "names_release": (NONE, PTR),
    "topic_start_offset": (CODE, PTR, STR, I32, PTR),
    "topic_end_offset": (CODE, PTR, STR, I32, PTR),
    "topic_durable_offset": (CODE, PTR, STR, I32, PTR),
    "topic_offset_for_time": (CODE, PTR, STR, I32, I64, PTR, PTR),
    "topic_max_timestamp": (CODE, PTR, STR, I32, PTR, PTR),
    "topic_lag": (CODE, PTR, STR, I32, I64, PTR, PTR),
    "topic_wait_durable": (CODE, PTR, STR, I32, I64, I32),
    "topic_delete_records": (CODE, PTR, STR, I32, I64, PTR),
    "producer_open": (CODE, PTR, PTR, PTR),
    "producer_close": (CODE, PTR),
    "producer_send": (CODE, PTR, STR, I32, PTR, SIZE, PTR, SIZE, PTR, SIZE, I64, PTR),
    "producer_send_if": (CODE, PTR, STR, I32, PTR, SIZE, PTR, SIZE, PTR, SIZE, I64, I64, PTR),
    "producer_send_packed": (CODE, PTR, STR, PTR, SIZE, PTR, SIZE),
    "producer_send_to": (I64, PTR, PTR, PTR),
    "producer_flush": (CODE, PTR, I32),
    "consumer_open": (CODE, PTR, PTR, PTR),
    "consumer_close": (CODE, PTR),
    "consumer_assign": (CODE, PTR, PTR, SIZE),
    "consumer_assignment": (CODE, PTR, PTR),
    "consumer_subscribe": (CODE, PTR, PTR, SIZE),
    "consumer_subscribe_pattern": (CODE, PTR, STR),
    "consumer_unsubscribe": (CODE, PTR),
    "consumer_subscription": (CODE, PTR, PTR),
    "consumer_member": (CODE, PTR, PTR, PTR),
    "consumer_seek": (CODE, PTR, STR, I32, I64),
    "consumer_position": (CODE, PTR, STR, I32, PTR),
    "consumer_pause": (CODE, PTR, STR, I32),
    "consumer_resume": (CODE, PTR, STR, I32),
    "consumer_poll": (CODE, PTR, I32, I32, PTR),
    "consumer_wakeup": (CODE, PTR),
    "consumer_event_fd": (CODE, PTR),
    "consumer_next_event": (CODE, PTR, PTR),
    "event_kind": (I32, PTR),
    "event_topic": (STR, PTR),
    "event_partition": (I32, PTR),
    "event_offset": (I64, PTR),
    "event_end_offset": (I64, PTR),
    "event_text": (STR, PTR),
    "event_generation": (I32, PTR),
    "event_code": (I32, PTR),
    "event_ticket": (I64, PTR),
    "event_offsets": (PTR, PTR),
    "event_group": (PTR, PTR),
    "event_release": (NONE, PTR),
    "consumer_assign_answer": (CODE, PTR, I32, PTR, SIZE),
    "records_count": (I32, PTR),
    "records_get": (PTR, PTR, I32),
    "records_stride": (SIZE, PTR),
    "records_release": (NONE, PTR),
    "record_header": (CODE, PTR, I32, PTR),
    "records_pack": (CODE, PTR, PTR, PTR, SIZE, PTR),
    "records_topic": (STR, PTR, I32),
    "consumer_commit": (CODE, PTR, PTR),
    "consumer_commit_offsets": (CODE, PTR, PTR, SIZE),
    "consumer_commit_async": (CODE, PTR, PTR, SIZE, PTR),
    "consumer_committed": (CODE, PTR, PTR, SIZE, PTR),
    "offsets_count": (I32, PTR),
    "offsets_get": (PTR, PTR, I32),
    "offsets_release": (NONE, PTR),
    "group_list": (CODE, PTR, PTR),
    "group_offsets": (CODE, PTR, STR, PTR),
    "group_describe": (CODE, PTR, STR, PTR),
    "group_state": (I32, PTR),
    "group_assignor": (STR, PTR),
    "group_generation": (I32, PTR),
    "group_member_count": (I32, PTR),
    "group_member": (PTR, PTR, I32),
    "group_release": (NONE, PTR),
    "group_commit_offsets": (CODE, PTR, STR, PTR, SIZE),
    "group_delete_offsets": (CODE, PTR, STR, PTR, SIZE),
    "group_delete": (CODE, PTR, STR),
    "segments_list": (CODE, PTR, STR, I32, PTR),
    "segments_count": (I32, PTR),
    "segments_get": (PTR, PTR, I32),
    "segments_release": (NONE, PTR),
    "walk_open": (CODE, STR, PTR),
    "walk_close": (NONE, PTR),
    "walk_topic": (STR, PTR),
    "walk_partition": (I32, PTR),
    "walk_segment_id": (I64, PTR),
    "walk_place": (I64, PTR),
    "walk_next": (CODE, PTR, PTR),
    "walk_skip": (CODE, PTR, PTR),
    "walk_records": (CODE, PTR, PTR),
    "store_verify": (CODE, PTR, STR, I32, PTR),
    "store_repair": (CODE, STR, STR, PTR),
    "findings_count": (I32, PTR),
    "findings_get": (PTR, PTR, I32),
    "findings_checked_records": (I64, PTR),
    "findings_checked_bytes": (I64, PTR),
    "findings_release": (NONE, PTR),
    "history_list": (CODE, PTR, PTR),
    "history_count": (I32, PTR),
    "history_get": (PTR, PTR, I32),
    "history_release": (NONE, PTR),
    "stats_open": (CODE, PTR, PTR),
    "stats_next": (CODE, PTR, PTR, PTR, PTR, PTR),
    "stats_close": (NONE, PTR),
}


class Header(ctypes.Structure):
    _fields_ = [("name", STR), ("value", STR), ("value_size", SIZE)]


class Destination(ctypes.Structure):
    _fields_ = [
        ("producer", PTR),
        ("topic", STR),
        ("timestamp_ms", I64),
        ("partition", I32),
        ("key_size", I32),
        ("value_size", I32),
        ("size_before", I32),
    ]


class Progress(ctypes.Structure):
    _fields_ = [
        ("deleted_segments", I64),
        ("deleted_bytes", I64),
        ("compacted_segments", I64),
        ("written_bytes", I64),
        ("freed_bytes", I64),
        ("kept_records", I64),
        ("removed_records", I64),
        ("kept_tombstones", I64),
        ("removed_tombstones", I64),
        ("read_bytes", I64),
        ("total_bytes", I64),
        ("partition", I32),
        ("partitions_left", I32),
        ("reserved", I64 * 4),
    ]


class PackedRow(ctypes.Structure):
    _fields_ = [
        ("offset", I64),
        ("timestamp_ms", I64),
        ("partition", I32),
        ("key_size", I32),
        ("value_size", I32),
        ("header_count", I32),
        ("headers_size", I32),
        ("topic_index", I32),
    ]


class Record(ctypes.Structure):
    _fields_ = [
        ("topic", STR),
        ("partition", I32),
        ("timestamp_type", I32),
        ("offset", I64),
        ("timestamp_ms", I64),
        ("key", PTR),
        ("key_size", SIZE),
        ("value", PTR),
        ("value_size", SIZE),
        ("packed_headers", PTR),
        ("packed_headers_size", SIZE),
        ("header_count", I32),
        ("reserved", I32),
    ]


class PartitionOffset(ctypes.Structure):
    _fields_ = [
        ("topic", STR),
        ("offset", I64),
        ("partition", I32),
        ("reserved", I32),
        ("metadata", PTR),
        ("metadata_size", SIZE),
    ]


class MemberPartition(ctypes.Structure):
    _fields_ = [("member_id", STR), ("topic", STR), ("partition", I32), ("reserved", I32)]


class Member(ctypes.Structure):
    _fields_ = [
        ("member_id", STR),
        ("instance_id", STR),
        ("client_id", STR),
        ("program", STR),
        ("pattern", STR),
        ("topics", PTR),
        ("owned", PTR),
        ("target", PTR),
        ("process_id", I64),
        ("is_away", I32),
        ("generation", I32),
    ]


class Segment(ctypes.Structure):
    _fields_ = [
        ("segment_id", I64),
        ("base_offset", I64),
        ("end_offset", I64),
        ("used_bytes", I64),
        ("size_bytes", I64),
        ("max_timestamp_ms", I64),
        ("state", I32),
        ("reserved", I32),
        ("path", STR),
    ]


class Finding(ctypes.Structure):
    _fields_ = [
        ("topic", STR),
        ("partition", I32),
        ("kind", I32),
        ("offset", I64),
        ("end_offset", I64),
        ("place", I64),
        ("path", STR),
        ("text", STR),
    ]


class HistoryEntry(ctypes.Structure):
    _fields_ = [
        ("time_ms", I64),
        ("process_id", I64),
        ("kind", I32),
        ("partition", I32),
        ("topic", STR),
        ("program", STR),
        ("text", STR),
    ]


STRUCTURES = {
    "kfl_header": Header,
    "kfl_destination": Destination,
    "kfl_progress": Progress,
    "kfl_packed_row": PackedRow,
    "kfl_record": Record,
    "kfl_partition_offset": PartitionOffset,
    "kfl_member_partition": MemberPartition,
    "kfl_member": Member,
    "kfl_segment": Segment,
    "kfl_finding": Finding,
    "kfl_history_entry": HistoryEntry,
}
