# SPDX-License-Identifier: MIT
"""Futures: callbacks at once or later, in order, chained, awaited; completed once."""
import asyncio
import threading
import time

import pytest

from kafkalite.errors import KafkaError, KafkaTimeoutError, UnknownTopicOrPartitionError
from kafkalite.future import Future
from kafkalite.producer.future import FutureRecordMetadata


def test_callbacks_run_in_order_and_get_their_arguments():
    future, seen = Future(), []
    future.add_callback(lambda *a, **k: seen.append((a, k)), "first", more=1).add_callback(seen.append)
    future.add_errback(lambda e: seen.append("no"))
    assert not (future.is_done or future.succeeded() or future.failed() or future.retriable())
    assert future.success("value") is future
    assert seen == [(("first", "value"), {"more": 1}), "value"]
    future.add_callback(seen.append)
    future.add_errback(seen.append)
    future.add_both(seen.append)
    assert seen[2:] == ["value", "value"] and future.succeeded() and future.value == "value"


def test_failures():
    future, seen = Future(), []
    future.add_errback(seen.append).add_callback(lambda v: seen.append("no"))
    future.failure(UnknownTopicOrPartitionError)
    assert isinstance(seen[0], UnknownTopicOrPartitionError) and seen[1:] == []
    assert future.failed() and not future.succeeded() and future.retriable() and future.exception is seen[0]
    with pytest.raises(AssertionError):
        future.success(1)
    with pytest.raises(AssertionError):
        Future().failure("no exception")


def test_chains():
    first, second = Future(), Future()
    first.chain(second)
    first.success(5)
    assert second.value == 5
    third, fourth = Future(), Future()
    third.chain(fourth)
    third.failure(KafkaError("x"))
    assert fourth.exception is third.exception


def test_a_callback_that_fails_is_logged_or_raised(caplog, monkeypatch):
    future, seen = Future(), []
    future.add_callback(lambda v: 1 / 0).add_callback(seen.append)
    future.success(1)
    assert seen == [1] and "ZeroDivisionError" in caplog.text
    monkeypatch.setattr(Future, "error_on_callbacks", True)
    with pytest.raises(ZeroDivisionError):
        future.add_callback(lambda v: 1 / 0)


def test_get_waits_and_gives_up():
    future = FutureRecordMetadata()
    began = time.monotonic()
    with pytest.raises(KafkaTimeoutError, match="0.05 secs"):
        future.get(timeout=0.05)
    assert time.monotonic() - began >= 0.05
    threading.Timer(0.02, future.success, ["metadata"]).start()
    assert future.get(timeout=10) == "metadata"
    failed = FutureRecordMetadata().failure(KafkaError("x"))
    with pytest.raises(KafkaError):
        failed.get()


def test_no_callback_is_lost_to_a_completion_at_the_same_time():
    for _ in range(300):
        future, seen = Future(), []
        go = threading.Barrier(2)

        def complete():
            go.wait()
            future.success(1)

        thread = threading.Thread(target=complete)
        thread.start()
        go.wait()
        for _ in range(5):
            future.add_callback(seen.append)
        thread.join()
        assert seen == [1] * 5


def test_a_future_can_be_awaited():
    async def run():
        done = FutureRecordMetadata()
        done.success(1)
        assert await done == 1
        later = FutureRecordMetadata()
        threading.Timer(0.01, later.success, [2]).start()
        assert await asyncio.wait_for(later, 10) == 2
        failed = FutureRecordMetadata()
        failed.failure(KafkaError("x"))
        with pytest.raises(KafkaError):
            await failed

    asyncio.run(run())
