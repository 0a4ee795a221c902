# SPDX-License-Identifier: MIT
"""The fixtures for pytest, in a pytest of their own."""
import os

pytest_plugins = ["pytester"]

TESTS = """
import pytest

def test_a_store_of_its_own(kafkalite_log):
    assert kafkalite_log.topic_names() == []
    kafkalite_log.create_topic("t")
    kafkalite_log.producer().send("t", b"x")

def test_another_one(kafkalite_log):
    assert kafkalite_log.topic_names() == []

def test_a_program_of_kafka_python(kafkalite_broker, kafkalite_log):
    from kafka import KafkaProducer
    producer = KafkaProducer(bootstrap_servers=kafkalite_broker)
    producer.send("orders", b"x").get(10)
    producer.close()
    assert [r.value for r in kafkalite_log.topic("orders").read()] == [b"x"]

def test_a_program_of_aiokafka(kafkalite_broker, kafkalite_log):
    import asyncio
    from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
    from aiokafka.errors import KafkaError
    from aiokafka.structs import TopicPartition

    async def main():
        async with AIOKafkaProducer(bootstrap_servers=kafkalite_broker) as producer:
            await producer.send_and_wait("orders", b"x")
        async with AIOKafkaConsumer("orders", bootstrap_servers=kafkalite_broker, auto_offset_reset="earliest") as reader:
            return (await reader.getone()).value

    assert asyncio.run(main()) == b"x" and issubclass(KafkaError, Exception) and TopicPartition("t", 0).partition == 0

def test_no_aiokafka_is_left():
    import sys
    assert "aiokafka" not in sys.modules

def test_the_clock(kafkalite_log, kafkalite_clock):
    kafkalite_clock(5_000)
    kafkalite_log.create_topic("t")
    kafkalite_log.producer().send("t", b"x")
    assert next(kafkalite_log.topic("t").read()).timestamp == 5_000

def test_that_fails(kafkalite_log):
    kafkalite_log.create_topic("t")
    assert False

def test_damage_is_found(kafkalite_log):
    topic = kafkalite_log.create_topic("t")
    kafkalite_log.producer().send("t", b"value")
    kafkalite_log.sync()
    with open(topic.segments()[0].path, "r+b") as file:
        place = file.read().index(b"value")
        file.seek(place)
        file.write(b"VALUE")
"""


def test_the_fixtures(pytester, monkeypatch):
    monkeypatch.delenv("KAFKALITE_DIR", raising=False)
    pytester.makeconftest('pytest_plugins = ["kafkalite.pytest_plugin"]')
    pytester.makepyfile(TESTS)
    done = pytester.runpytest_subprocess("-p", "no:cacheprovider", "--kafkalite-keep-failed")
    done.assert_outcomes(passed=7, failed=1, errors=1)
    done.stdout.fnmatch_lines(["*the store of this test*", "kafkalite -d */kafkalite dump", "*damage*"])
    assert "KAFKALITE_DIR" not in os.environ
