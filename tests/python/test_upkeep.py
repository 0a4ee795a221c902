# SPDX-License-Identifier: MIT
"""Compaction, retention and forgetting, asked for by name, and what they tell of it."""
import _thread
import signal
import threading

import pytest

from kafkalite import _ffi, errors

KEYS = 7


def newest(rows):
    """What compaction leaves of (key, value)."""
    last = {key: place for place, (key, _) in enumerate(rows)}
    return [(place, *rows[place]) for place in sorted(last.values())]


def read(topic):
    return [(record.offset, record.key, record.value) for record in topic.read()]


@pytest.fixture
def topic(log):
    """Compacted, with a file and a half of a few keys."""
    topic = log.create_topic("t", config={"cleanup.policy": "compact", "segment.bytes": 1 << 20})
    topic.rows = [(b"k%d" % (n % KEYS), b"%d" % n + bytes(50_000)) for n in range(30)]
    log.producer().send_many("t", topic.rows[:25])
    log.producer().send_many("t", topic.rows[25:])
    return topic


@pytest.mark.parametrize("budget", [None, 0, 60])
def test_compaction_leaves_the_newest_of_each_key_and_counts(topic, budget):
    done = topic.compact(force=True, roll=True, budget=budget)
    while done.more:
        assert budget == 0
        done = topic.compact(force=True, roll=True, budget=budget)
    assert read(topic) == newest(topic.rows)
    assert (done.kept_records, done.removed_records) == (KEYS, 30 - KEYS)
    assert done.freed_bytes > 0 and done.compacted_segments >= 1 and done.deleted_segments == 0
    assert (done.partition, done.partitions_left) == (None, 0)


def test_a_dry_run_counts_the_same_and_changes_nothing(topic):
    topic.compact(force=True, roll=True)
    more = [(b"k0", b"new")] * 3
    topic._store.producer().send_many("t", more)
    before = read(topic)
    counted = topic.compact(force=True, dry_run=True)
    assert read(topic) == before and counted.removed_records == 0  # the file that takes appends has no part in it
    assert topic.compact(force=True, roll=True).removed_records == 3


def test_what_is_not_due_stays(topic):
    topic.alter(min_cleanable_dirty_ratio=1.0)
    topic.compact(force=True, roll=True)
    topic._store.producer().send_many("t", topic.rows)
    before = read(topic)
    assert topic.compact().removed_records == 0 and read(topic) == before


def test_retention_tells_what_it_deleted(log):
    topic = log.create_topic("t", config={"segment.bytes": 1 << 20, "retention.bytes": 1 << 20})
    log.producer().send_many("t", [(None, bytes(300_000))] * 3)
    for _ in range(3):
        log.producer().send_many("t", [(None, bytes(300_000))] * 3)
    done = topic.retain()
    assert done.deleted_segments >= 1 and done.deleted_bytes >= 900_000 and not done.more
    assert topic.start_offset() == 3 * done.deleted_segments
    assert topic.retain().deleted_segments == 0


def test_a_key_is_forgotten(topic):
    count = sum(key == b"k3" for key, _ in topic.rows)
    assert topic.forget(bytearray(b"k3")) == count
    assert b"k3" not in {key for _, key, _ in read(topic)}
    assert {key for _, key, _ in read(topic)} == {key for key, _ in topic.rows} - {b"k3"}
    assert topic.forget(b"never") == 0


def test_topics_of_the_other_kind_are_refused(log):
    topic = log.create_topic("plain")
    for call in (topic.compact, lambda: topic.forget(b"k")):
        with pytest.raises(errors.PolicyViolationError) as met:
            call()
        assert met.value.topic == "plain"
    missing = type(topic)(log, "missing")
    for call in (missing.compact, missing.retain, lambda: missing.forget(b"k")):
        with pytest.raises(errors.UnknownTopicOrPartitionError):
            call()
    for key in (None, "k", 1):
        with pytest.raises(TypeError):
            topic.forget(key)
    with pytest.raises(TypeError):
        topic.compact(budget="1")
    log.close()
    for call in (topic.compact, topic.retain, lambda: topic.forget(b"k")):
        with pytest.raises(errors.ClosedError):
            call()


def test_ctrl_c_ends_a_compaction_behind_the_piece_that_it_is_in(topic, monkeypatch):
    calls, interrupted, threads = [], threading.Event(), _thread._count()

    def piece(handle, name, flags, budget_ms, out):
        calls.append(budget_ms)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        interrupted.wait()
        return 1

    monkeypatch.setattr(_ffi.lib, "topic_compact", piece)
    with pytest.raises(KeyboardInterrupt):
        topic.compact()
    interrupted.set()
    while _thread._count() > threads:
        pass
    assert len(calls) == 1 and 0 < calls[0] <= 200
