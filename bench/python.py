# SPDX-License-Identifier: MIT
"""What Python pays: the binding beside kafka-python's own parsing and building, in one run.

    meson devenv -C build /usr/bin/python3 bench/python.py [--quick] [--cpu] [--dir DIR]

kafka-python (Debian's python3-kafka) does the part of its work that needs no network: parsing the
batches of a fetch into records, and building the batches of a produce request. The rows are taken
in turn, round after round; a figure is the median, a ratio the median of the rounds' ratios. Rounds
are short, so that what is compared is measured within a fraction of a second.
"""
import argparse
import ctypes
import statistics
import tempfile
import time

import kafkalite
from kafkalite import _ffi

try:
    from kafka.record import MemoryRecords, MemoryRecordsBuilder
except ImportError:
    MemoryRecords = None

KEY, VALUE = b"12345678", b"v" * 100


clock = time.perf_counter


def timed(count, work):
    began = clock()
    work()
    return count / (clock() - began)


class Bench:
    def __init__(self, directory, count):
        self.count = count
        self.log = kafkalite.open(directory)
        self.topic = self.log.create_topic("bench")
        self.producer = self.log.producer()
        self.pairs = [(KEY, VALUE)] * 500
        for _ in range(count // 500):
            self.producer.send_many("bench", self.pairs)
        self.facade_producer = kafkalite.KafkaProducer(bootstrap_servers="file:" + directory)
        self.directory = directory
        if MemoryRecords is not None:
            self.fetched = self.kafka_batches()

    def kafka_batches(self):
        buffers = []
        for _ in range(4):
            builder = MemoryRecordsBuilder(2, 0, 1 << 20)
            for _ in range(500):
                builder.append(timestamp=1, key=KEY, value=VALUE)
            builder.close()
            buffers.append(bytes(builder.buffer()))
        return buffers

    # Each answers operations a second.

    def empty_call(self):
        call = _ffi.declare("version")

        def work():
            for _ in range(self.count):
                call()

        return timed(self.count, work)

    def kafka_parse(self):
        def work():
            for buffer in self.fetched:
                records = MemoryRecords(buffer)
                while records.has_next():
                    for record in records.next_batch():
                        kafka_record(record)

        return timed(500 * len(self.fetched), work)

    def kafka_build(self):
        def work():
            for _ in range(4):
                builder = MemoryRecordsBuilder(2, 0, 1 << 20)
                for _ in range(500):
                    builder.append(timestamp=1, key=KEY, value=VALUE, headers=[])
                builder.close()

        return timed(2_000, work)

    def read(self, take, **options):
        consumer = self.log.consumer("bench", stop_at_end=True, **options)

        def work():
            for batch in consumer.batches():
                take(batch)

        rate = timed(self.count, work)
        consumer.close()
        return rate

    def objects(self):
        return self.read(lambda batch: batch.records())

    def tuples(self):
        return self.read(lambda batch: batch.tuples())

    def views(self):
        def take(batch):
            batch.records()
            batch.release()

        return self.read(take, zero_copy=True)

    def iterate(self):
        consumer = self.log.consumer("bench", stop_at_end=True)

        def work():
            for _ in consumer:
                pass

        rate = timed(self.count, work)
        consumer.close()
        return rate

    def send(self):
        send = self.producer.send

        def work():
            for _ in range(self.count):
                send("bench-out", VALUE, KEY)

        return timed(self.count, work)

    def send_many(self):
        def work():
            for _ in range(self.count // 500):
                self.producer.send_many("bench-out", self.pairs)

        return timed(self.count, work)

    def facade_send(self):
        send = self.facade_producer.send

        def work():
            for _ in range(self.count):
                send("bench-out", VALUE, KEY)

        return timed(self.count, work)

    def facade_iterate(self):
        consumer = kafkalite.KafkaConsumer(
            "bench",
            bootstrap_servers="file:" + self.directory,
            auto_offset_reset="earliest",
            consumer_timeout_ms=1,
        )

        def work():
            for _ in consumer:
                pass

        rate = timed(self.count, work)
        consumer.close()
        return rate


def kafka_record(record):
    """What a fetcher takes from each."""
    from kafka.consumer.fetcher import ConsumerRecord

    return ConsumerRecord("bench", 0, record.offset, record.timestamp, record.timestamp_type,
                          record.key, record.value, record.headers, record.checksum,
                          len(record.key), len(record.value), -1)


# name, what it is measured against, whether rates or times are compared, the bar; in the order in which they are taken
ROWS = [
    ("empty_call", None, None, None),
    ("send", "empty_call", "time", 5.0),
    ("kafka_parse", None, None, None),
    ("kafka_build", None, None, None),
    ("objects", "kafka_parse", "rate", 3.0),
    ("tuples", "kafka_parse", "rate", 6.0),
    ("views", "kafka_parse", "rate", None),
    ("iterate", "kafka_parse", "rate", None),
    ("send_many", "kafka_build", "rate", 10.0),
    ("facade_send", "kafka_build", "rate", 1.0),
    ("facade_iterate", None, "absolute", 400_000),
]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer records and rounds")
    parser.add_argument("--dir", help="where to write (default: TMPDIR, or /tmp)")
    parser.add_argument("--cpu", action="store_true", help="the thread's processor time: for a busy machine")
    options = parser.parse_args()
    if options.cpu:
        global clock
        clock = time.thread_time
    rounds, count = (15, 10_000) if options.quick else (180, 10_000)
    rates = {name: [] for name, *_ in ROWS}
    with tempfile.TemporaryDirectory(prefix="kafkalite-bench-", dir=options.dir) as directory:
        bench = Bench(directory, count)
        bench.log.create_topic("bench-out", config={"segment.bytes": 16 << 20})
        for number in range(rounds + 1):
            for name in rates:
                if name.startswith("kafka_") and MemoryRecords is None:
                    continue
                rate = getattr(bench, name)()
                if number:
                    rates[name].append(rate)
            if number % 5 == 4:  # 150,000 records further
                bench.log.topic("bench-out").delete()
                bench.log.create_topic("bench-out")
        bench.facade_producer.close()
        bench.log.close()
    missed = report(rates)
    print(f"{missed} bars missed" if missed else "all bars reached")


def report(rates):
    missed = 0
    print(f"{'':16} {'median/s':>12} {'spread':>8} {'ratio':>7} {'bar':>8}")
    for name, peer, kind, bar in ROWS:
        taken = rates[name]
        if not taken:
            continue
        middle = statistics.median(taken)
        spread = (max(taken) - min(taken)) / middle
        ratio = verdict = ""
        if peer and rates[peer]:
            pairs = zip(rates[peer], taken) if kind == "time" else zip(taken, rates[peer])
            value = statistics.median(a / b for a, b in pairs)
            ratio = f"{value:.2f}"
            if bar:
                reached = value <= bar if kind == "time" else value >= bar
                verdict = f"{'<=' if kind == 'time' else '>='} {bar:g}" + ("" if reached else " MISSED")
                missed += not reached
        elif kind == "absolute":
            verdict = f">= {bar}" + ("" if middle >= bar else " MISSED")
            missed += middle < bar
        print(f"{name:16} {middle:12,.0f} {spread:8.0%} {ratio:>7} {verdict}")
    return missed


if __name__ == "__main__":
    main()
