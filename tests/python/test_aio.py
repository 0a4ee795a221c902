# SPDX-License-Identifier: MIT
"""asyncio: the loop goes on while a client waits, and a cancelled wait loses nothing."""
import asyncio

import pytest

from kafkalite import TopicPartition, errors
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
