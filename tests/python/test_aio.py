# SPDX-License-Identifier: MIT
"""asyncio: the loop goes on while a client waits, and a cancelled wait loses nothing."""
import asyncio
import threading
import time

import pytest

from kafkalite import TopicPartition, errors
from kafkalite import aio
from kafkalite.aio import AIOKafkaConsumer, AIOKafkaProducer

T0 = TopicPartition("t", 0)


def run(body):
    asyncio.run(asyncio.wait_for(body, 60))


def test_in_and_out(log, servers):
    async def body():
        async with AIOKafkaProducer(bootstrap_servers=servers, acks="all") as producer:
            metadata = await producer.send_and_wait("t", b"0", key=b"k", headers=(("h", b"v"),))
            assert (metadata.partition, metadata.offset) == (0, 0)
            future = await producer.send("t", b"1")
            assert (await future).offset == 1
            await asyncio.gather(*(producer.send_and_wait("t", b"%d" % n) for n in range(2, 10)))
            await producer.flush()
            assert await producer.partitions_for("t") == {0}
            with pytest.raises(TypeError):
                await producer.send_and_wait("t", "text")
            with pytest.raises(errors.InvalidTopicError):
                await producer.send_and_wait("bad topic", b"")
        with pytest.raises(errors.ClosedError):
            await producer.send_and_wait("t", b"late")
        await producer.stop()
        options = dict(bootstrap_servers=servers, group_id="g", auto_offset_reset="earliest", enable_auto_commit=False)
        async with AIOKafkaConsumer("t", **options) as consumer:
            seen = []
            async for message in consumer:
                seen.append(int(message.value))
                if len(seen) == 4:
                    await consumer.commit()
                    assert await consumer.committed(T0) == 4 == await consumer.position(T0)
                if len(seen) == 10:
                    break
            assert sorted(seen) == list(range(10)) and seen[:2] == [0, 1]
            assert consumer.subscription() == {"t"} and consumer.assignment() == {T0}
            await consumer.seek(T0, 7)
            assert [m.offset for m in (await consumer.getmany(timeout_ms=1000, max_records=2))[T0]] == [7, 8]
            assert await consumer.getmany(TopicPartition("t", 0), timeout_ms=1000)
            assert await consumer.getmany(timeout_ms=10) == {}
            assert consumer.highwater(T0) == 10 and consumer.partitions_for_topic("t") == {0}
            consumer.pause(T0)
            assert consumer.paused() == {T0}
            consumer.unsubscribe()
            assert consumer.assignment() == consumer.paused() == set()
            assert await consumer.end_offsets([T0]) == {T0: 10} and await consumer.topics() == {"t"}
        async with AIOKafkaConsumer("t", **options) as consumer:
            assert (await consumer.getone()).offset == 4

    run(body())


def test_the_loop_goes_on(log, servers):
    async def body():
        ticks = 0

        async def tick():
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.005)

        async with AIOKafkaConsumer("t", bootstrap_servers=servers) as consumer:
            ticker = asyncio.ensure_future(tick())
            assert await consumer.getmany(timeout_ms=300) == {}
            ticker.cancel()
            assert ticks > 10

    run(body())


def test_a_cancelled_wait_loses_nothing(log, servers):
    async def body():
        async with AIOKafkaProducer(bootstrap_servers=servers) as producer:
            async with AIOKafkaConsumer("t", bootstrap_servers=servers, auto_offset_reset="earliest") as consumer:
                seen = []
                for n in range(60):
                    waiter = asyncio.ensure_future(consumer.getone() if n % 2 else consumer.getmany(timeout_ms=500))
                    await asyncio.sleep(0.001 * (n % 7))
                    waiter.cancel()
                    try:
                        got = await waiter
                        rows = [got] if n % 2 else [r for records in got.values() for r in records]
                        seen += [r.offset for r in rows]
                    except asyncio.CancelledError:
                        pass
                    await producer.send_and_wait("t", b"x")
                while len(seen) < 60:
                    seen.append((await consumer.getone()).offset)
                assert seen == list(range(60))

    run(body())


def test_members_share(log, servers):
    async def body():
        log.create_topic("t", partitions=4)
        options = dict(bootstrap_servers=servers, group_id="g", auto_offset_reset="earliest")
        async with AIOKafkaConsumer("t", **options) as one, AIOKafkaConsumer("t", **options) as two:
            while not len(one.assignment()) == len(two.assignment()) == 2:
                await asyncio.gather(one.getmany(timeout_ms=20), two.getmany(timeout_ms=20))
            assert one.assignment().isdisjoint(two.assignment())

    run(body())


def test_not_started(servers):
    async def body():
        with pytest.raises(errors.ClosedError):
            await AIOKafkaConsumer("t", bootstrap_servers=servers).getone()

    run(body())


def test_a_record_wakes_who_waits_for_it(log, servers):
    """Not at the next turn: the loop watches the consumer's descriptor."""

    async def body():
        async with AIOKafkaConsumer("t", bootstrap_servers=servers) as consumer:
            assert await consumer.getmany() == {}
            late = []
            for _ in range(20):
                waiting = asyncio.ensure_future(consumer.getone())
                await asyncio.sleep(0.02)
                began = time.perf_counter()
                log.producer().send("t", b"x")
                await waiting
                late.append(time.perf_counter() - began)
            assert min(late) < aio.TURN_S / 4, late

    run(body())


def test_waiting_starts_no_thread_of_python(log, servers):
    async def body():
        async with AIOKafkaConsumer("t", bootstrap_servers=servers) as consumer:
            before = threading.active_count()
            assert await consumer.getmany(timeout_ms=50) == {}
            assert threading.active_count() == before
            assert consumer._watched is None, "nobody waits any more"

    run(body())


def test_stop_ends_a_wait(log, servers):
    async def body():
        for _ in range(20):
            consumer = AIOKafkaConsumer("t", bootstrap_servers=servers)
            await consumer.start()

            async def read():
                return [message async for message in consumer]

            waiting = asyncio.ensure_future(read())
            one = asyncio.ensure_future(consumer.getone())
            await asyncio.sleep(0.005)
            await consumer.stop()
            assert await waiting == []
            with pytest.raises(errors.ClosedError):
                await one

    run(body())


def test_a_store_of_its_own(directory):
    async def body():
        async with aio.open(directory) as log:
            async with log.producer(acks="all") as producer:
                for n in range(5):
                    await producer.send_and_wait("t", b"%d" % n, key=b"k")
            async with log.consumer("t") as consumer:
                assert [(await consumer.getone()).value for _ in range(5)] == [b"%d" % n for n in range(5)]
            async with log.consumer("t", group="g", start="earliest") as consumer:
                async for record in consumer:
                    if record.offset == 2:
                        await consumer.commit(record)
                        break
            assert log.store.groups["g"].committed()[T0].offset == 3
            async with log.consumer("t", group="g") as consumer:
                batch = await consumer.getmany(timeout_ms=5000, max_records=100)
                while not batch:
                    batch = await consumer.getmany(timeout_ms=5000, max_records=100)
                assert [record.offset for record in batch[T0]] == [3, 4]
        with pytest.raises(errors.ClosedError):
            log.store.topic_names()
        with pytest.raises(errors.ClosedError):
            aio.open(directory).producer()

    run(body())


def test_a_call_whose_waiter_is_cancelled_still_has_its_turn(log, servers):
    async def body():
        log.create_topic("t")
        log.producer().send_many("t", [(None, b"%d" % n) for n in range(500)])
        options = dict(bootstrap_servers=servers, group_id="g", auto_offset_reset="earliest", enable_auto_commit=False)
        async with AIOKafkaConsumer("t", **options) as consumer:
            seen = 0
            while seen < 500:
                batch = await consumer.getmany(timeout_ms=1000, max_records=7)
                seen += sum(map(len, batch.values()))
                committing = asyncio.ensure_future(consumer.commit())
                await asyncio.sleep(0.0005 * (seen % 3))
                committing.cancel()
                try:
                    await committing
                except asyncio.CancelledError:
                    pass
            await consumer.commit()
            assert await consumer.committed(T0) == 500 == seen

    run(body())


def test_a_send_that_is_cancelled_waits_for_room_no_more(log, servers):
    """The record is not there, and what comes next need not stand behind it."""
    log.create_topic("t", config={"segment.bytes": 1 << 20, "retention.bytes": 1, "retention.consumers.groups": "g",
                                  "retention.consumers.max.bytes": 2 << 20, "retention.consumers.on.full": "wait"})
    log.groups["g"].commit({("t", 0): 0})

    async def body():
        async with AIOKafkaProducer(bootstrap_servers=servers, max_block_ms=3_600_000) as producer:
            sent = 0
            with pytest.raises(asyncio.TimeoutError):
                while True:
                    await asyncio.wait_for(producer.send_and_wait("t", b"x" * 100_000), 1)
                    sent += 1
            assert await producer.partitions_for("t") == {0}
            log.groups["g"].commit({("t", 0): sent})
            assert (await producer.send_and_wait("t", b"y")).offset == sent

    run(body())
