# SPDX-License-Identifier: MIT
"""The native API against a model: lists of records, a dict of commits, whatever the order of calls.

KFL_EXAMPLES_COUNT sets how many sequences are tried, KFL_STEPS how long they get, and KFL_SEED which: all are printed.
Bytes are drawn as a number each, not one by one, which would take most of the time.
"""
import os
import random
import shutil
import tempfile

from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle, RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test)

import kafkalite
from kafkalite import TopicPartition, errors
from kafkalite.partitioner import murmur2

COUNT = int(os.environ.get("KFL_EXAMPLES_COUNT", "100"))
STEPS = int(os.environ.get("KFL_STEPS", "20"))
SEED = int(os.environ.get("KFL_SEED") or random.SystemRandom().randrange(1 << 32))
FOLDER = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def bytes_of(number):
    """None, and bytes of each length up to 300, short ones more often."""
    size = number % 700
    size = size % 40 if size > 300 else size
    return None if size == 0 else bytes((number + n * 7) & 255 for n in range(size - 1))


HEADERS = [(), (("h", b"v"),), (("h", None), ("h", b"")), (("", b"\0"), ("\u00e9\U0001f600", b"x" * 9), ("h", b"v"))]
data = st.integers(0, 2**16 - 1).map(bytes_of)
headers = st.sampled_from(HEADERS)
names = st.sampled_from(["a", "b", "c-3"])


class Machine(RuleBasedStateMachine):
    consumers = Bundle("consumers")

    @initialize()
    def begin(self):
        self.directory = tempfile.mkdtemp(prefix="kafkalite-model-", dir=FOLDER)
        self.log = kafkalite.open(self.directory)
        self.producer = self.log.producer()
        self.topics = {}  # name: a list of (offset, key, value, headers) for each partition
        self.starts = {}
        self.commits = {}
        self.readers = {}

    def teardown(self):
        if hasattr(self, "log"):
            assert self.log.verify(), "all is well at the end"
            self.log.close()
            shutil.rmtree(self.directory)

    # Topics

    @rule(name=names, partitions=st.integers(1, 3))
    def create(self, name, partitions):
        if name in self.topics:
            try:
                self.log.create_topic(name, partitions)
                raise AssertionError("made twice")
            except errors.TopicAlreadyExistsError:
                return
        self.log.create_topic(name, partitions)
        self.topics[name] = [[] for _ in range(partitions)]
        self.starts[name] = [0] * partitions

    @rule(name=names)
    def grow(self, name):
        if name in self.topics:
            self.topics[name].append([])
            self.starts[name].append(0)
            self.log.topic(name).add_partitions(len(self.topics[name]))

    @rule(name=names)
    def delete(self, name):
        if name not in self.topics:
            try:
                self.log.topic(name)
                raise AssertionError("there is no such topic")
            except errors.UnknownTopicOrPartitionError:
                return
        self.log.topic(name).delete()
        del self.topics[name], self.starts[name]
        self.commits = {k: v for k, v in self.commits.items() if k[1].topic != name}
        for reader in self.readers.values():
            if reader["at"] and any(place.topic == name for place in reader["at"]):
                reader["consumer"].assign([])
                reader["at"] = {}

    # In

    def next_offset(self, name, number):
        rows = self.topics[name][number]
        return rows[-1][0] + 1 if rows else self.starts[name][number]

    def keep(self, name, place, key, value, told):
        rows = self.topics[name][place.partition]
        assert place.offset == self.next_offset(name, place.partition)
        if key is not None:
            assert place.partition == (murmur2(key) & 0x7FFFFFFF) % len(self.topics[name])
        rows.append((place.offset, key, value, tuple(told)))

    @rule(name=names, key=data, value=data, told=headers)
    def send(self, name, key, value, told):
        if name not in self.topics:
            try:
                self.producer.send(name, value, key=key)
                raise AssertionError("there is no such topic")
            except errors.UnknownTopicOrPartitionError:
                return
        place = self.producer.send(name, value, key=key, headers=told)
        self.keep(name, place, key, value, told)

    @rule(name=names, count=st.integers(0, 30), first=st.integers(0, 2**16 - 1))
    def send_many(self, name, count, first):
        if name in self.topics:
            rows = [(bytes_of(first + n * 31), bytes_of(first * 3 + n * 17)) for n in range(count)]
            for place, (key, value) in zip(self.producer.send_many(name, rows), rows):
                self.keep(name, place, key, value, ())

    @rule(name=names, shift=st.integers(-1, 1), value=data)
    def send_if(self, name, shift, value):
        if name not in self.topics:
            return
        end = self.next_offset(name, 0)
        if end + shift < 0:
            return
        try:
            place = self.producer.send_if(name, 0, end + shift, value)
            assert shift == 0
            self.topics[name][0].append((place.offset, None, value, ()))
        except errors.ConflictError as error:
            assert shift != 0 and error.offset == end

    @rule(name=names, part=st.floats(0, 1))
    def delete_records(self, name, part):
        if name in self.topics:
            start, end = self.starts[name][0], self.next_offset(name, 0)
            before = start + int((end - start) * part)
            assert self.log.topic(name).delete_records(0, before) == before
            self.starts[name][0] = before
            self.topics[name][0] = [row for row in self.topics[name][0] if row[0] >= before]

    # Out

    @rule(target=consumers, group=st.sampled_from([None, "g", "h"]), zero_copy=st.booleans())
    def open_consumer(self, group, zero_copy):
        key = len(self.readers)
        consumer = self.log.consumer(group=group, zero_copy=zero_copy)
        self.readers[key] = {"consumer": consumer, "group": group, "at": {}}
        return key

    @rule(key=consumers, name=names)
    def assign(self, key, name):
        if name in self.topics:
            reader = self.readers[key]
            places = [TopicPartition(name, n) for n in range(len(self.topics[name]))]
            at = {}
            for place in places:
                known = reader["at"].get(place)
                committed = self.commits.get((reader["group"], place))
                start = self.starts[name][place.partition]
                at[place] = known if known is not None else committed if committed is not None else start
            reader["consumer"].assign(places)
            reader["at"] = at

    @rule(key=consumers, most=st.integers(1, 40))
    def poll(self, key, most):
        reader = self.readers[key]
        batch = reader["consumer"].poll(0, max_records=most)
        for record in batch or ():
            place = TopicPartition(record.topic, record.partition)
            rows = self.topics[record.topic][record.partition]
            at = max(reader["at"][place], self.starts[record.topic][record.partition])
            expected = next(row for row in rows if row[0] >= at)
            told = (record.offset, record.key, record.value, record.headers)
            assert told == expected
            reader["at"][place] = record.offset + 1
        if batch is None:
            for place, at in reader["at"].items():
                assert max(at, self.starts[place.topic][place.partition]) == self.next_offset(*place), "something was left"
                reader["at"][place] = self.next_offset(*place)
        else:
            batch.release()

    @rule(key=consumers, part=st.floats(0, 1))
    def seek(self, key, part):
        reader = self.readers[key]
        for place in list(reader["at"])[:1]:
            start, end = self.starts[place.topic][place.partition], self.next_offset(*place)
            offset = start + int((end - start) * part)
            reader["consumer"].seek(place, offset)
            reader["at"][place] = offset

    @rule(key=consumers)
    def commit(self, key):
        reader = self.readers[key]
        if reader["group"] is None:
            try:
                reader["consumer"].commit()
                raise AssertionError("committed for nobody")
            except errors.InvalidGroupIdError:
                return
        positions = reader["consumer"].assignment()
        reader["consumer"].commit()
        for place, offset in positions.items():
            self.commits[reader["group"], place] = offset

    @rule()
    def close_and_open_again(self):
        for reader in self.readers.values():
            reader["consumer"].close()
        self.producer.close()
        self.log.close()
        self.log = kafkalite.open(self.directory)
        self.producer = self.log.producer()
        for reader in self.readers.values():
            reader["consumer"] = self.log.consumer(group=reader["group"])
            reader["at"] = {}

    # Always

    @invariant()
    def the_ends_agree(self):
        assert self.log.topic_names() == sorted(self.topics)
        for name, partitions in self.topics.items():
            topic = self.log.topic(name)
            assert topic.partitions == len(partitions)
            for number in range(len(partitions)):
                assert topic.end_offset(number) == self.next_offset(name, number)
                assert topic.start_offset(number) == self.starts[name][number]
        for group in ("g", "h"):
            told = {place: what.offset for place, what in self.log.groups[group].committed().items()}
            assert told == {place: offset for (of, place), offset in self.commits.items() if of == group}


def test_whatever_the_order_of_calls():
    print(f"KFL_SEED={SEED} KFL_EXAMPLES_COUNT={COUNT} KFL_STEPS={STEPS}")
    steps = settings(max_examples=COUNT, stateful_step_count=STEPS, deadline=None, print_blob=True, database=None,
                     suppress_health_check=list(HealthCheck))
    seed(SEED)(Machine)
    run_state_machine_as_test(Machine, settings=steps)
