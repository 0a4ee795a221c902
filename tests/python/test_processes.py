# SPDX-License-Identifier: MIT
"""Processes that produce and consume in one group while others are killed: nothing lost, nothing stuck.

KFL_PROCESSES and KFL_SECONDS make more of it: 16 and 30 is the long run.
"""
import collections
import os
import random
import signal
import subprocess
import sys
import time

import kafkalite

PROCESSES = int(os.environ.get("KFL_PROCESSES", "6"))
SECONDS = float(os.environ.get("KFL_SECONDS", "4"))

PRODUCER = """
import sys
from kafkalite import KafkaProducer
who, servers = sys.argv[1:]
producer = KafkaProducer(bootstrap_servers=servers)
number = 0
while True:
    future = producer.send("t", b"%s %d" % (who.encode(), number), key=b"%d" % (number % 64))
    future.get(timeout=10)
    print(number, flush=True)
    number += 1
"""
CONSUMER = """
import sys
from kafkalite import KafkaConsumer
servers = sys.argv[1]
consumer = KafkaConsumer("t", group_id="g", bootstrap_servers=servers, auto_offset_reset="earliest",
                         enable_auto_commit=False, max_poll_records=500)
while True:
    polled = consumer.poll(timeout_ms=500)
    for records in polled.values():
        for record in records:
            sys.stdout.write("%d %d %s\\n" % (record.partition, record.offset, record.value.decode()))
    sys.stdout.flush()
    if polled:
        try:
            consumer.commit()
        except Exception as error:
            print("error", type(error).__name__, flush=True)
"""


def start(program, out, *arguments):
    return subprocess.Popen([sys.executable, "-c", program, *arguments], stdout=open(out, "ab"))


def test_random_kills(tmp_path):
    seed = random.randrange(1 << 32)
    print("seed", seed)
    chance = random.Random(seed)
    directory = str(tmp_path / "data")
    servers = "file:" + directory
    with kafkalite.open(directory) as log:
        log.create_topic("t", partitions=8)
    living, born = {}, collections.Counter()

    def bear(kind):
        born[kind] += 1
        name = f"{kind}-{born[kind]}"
        program, arguments = (PRODUCER, (name, servers)) if kind == "producer" else (CONSUMER, (servers,))
        living[name] = start(program, tmp_path / name, *arguments)

    try:
        for number in range(PROCESSES):
            bear("consumer" if number % 2 else "producer")
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            time.sleep(chance.uniform(0.05, 0.4))
            name = chance.choice(sorted(living))
            living[name].send_signal(signal.SIGKILL)
            living.pop(name).wait(10)
            bear(name.split("-")[0])
        for name in [n for n in living if n.startswith("producer")]:
            living[name].send_signal(signal.SIGKILL)
            living.pop(name).wait(10)
        with kafkalite.open(directory) as log:
            group = log.group("g")
            ends = {("t", n): log.topic("t").end_offset(n) for n in range(8)}
            ends = {place: end for place, end in ends.items() if end}
            pids = {process.pid for process in living.values()}
            # The consumers that are left finish, and everybody who is listed lives.
            # A long run leaves much to read, so it is only when nothing moves that it is stuck.
            deadline, moved, members = time.monotonic() + 60, 0, set()
            while time.monotonic() < deadline:
                try:
                    told = group.describe()
                except kafkalite.errors.GroupIdNotFoundError:
                    time.sleep(0.05)  # no consumer lived long enough to come to it so far
                    continue
                if sum(what.offset for what in group.committed().values()) > moved:
                    moved = sum(what.offset for what in group.committed().values())
                    deadline = time.monotonic() + 60
                # A partition that nobody wrote to may have a commit of 0, or none.
                committed = {tuple(place): what.offset for place, what in group.committed().items() if what.offset}
                members = {member.process_id for member in told.members}
                if committed == ends and told.state == "Stable" and members == pids:
                    break
                time.sleep(0.05)
            assert members == pids, "no zombie members"
            assert sum(len(member.owned) for member in told.members) == 8
            assert committed == ends, "nothing is stuck"
    finally:
        for process in living.values():
            process.kill()
            process.wait(10)
    check(tmp_path, directory, born)


def check(tmp_path, directory, born):
    acknowledged, read = set(), collections.Counter()
    for name in os.listdir(tmp_path):
        if name.startswith("producer"):
            acknowledged |= {f"{name} {line}" for line in whole_lines(tmp_path / name)}
        elif name.startswith("consumer"):
            read.update(" ".join(line.split()[2:]) for line in whole_lines(tmp_path / name) if "error" not in line)
    with kafkalite.open(directory) as log:
        stored = [record.value.decode() for record in log.topic("t").read()]
        assert log.verify()
    assert len(stored) == len(set(stored)), "nothing is there twice"
    assert acknowledged <= set(stored), "nothing acknowledged is lost"
    assert set(stored) == set(read), "everything was read"
    again = sum(count - 1 for count in read.values())
    print(len(stored), "records,", dict(born), "processes,", again, "read again after a kill")
    assert again <= 500 * born["consumer"], "only what was not committed when a consumer was killed"
    last = {}
    for value in stored:
        who, number = value.split()
        last.setdefault(who, set()).add(int(number))
    for who, numbers in last.items():
        assert numbers == set(range(len(numbers))), "no holes: each waited for its acknowledgement"


def whole_lines(path):
    """A kill may cut the last one."""
    text = path.read_text()
    return text[: text.rfind("\n") + 1].splitlines()
