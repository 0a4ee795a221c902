# SPDX-License-Identifier: MIT
"""Work that is slower than its input: partitions are paused while their queue is full.

    back_pressure.py DIR

The consumer goes on polling, so it keeps its place in the group and reads what is not paused.
"""
import collections
import sys

import kafkalite

PARTITIONS, JOBS, QUEUE, POLL = 2, 200, 8, 4


class Worker:
    def __init__(self, log):
        self.queues = collections.defaultdict(collections.deque)  # of each partition: offsets of jobs to be done
        self.paused = set()
        self.done = self.pauses = self.longest = 0
        self.consumer = log.consumer(group="worker")
        self.consumer.subscribe(["jobs"], on_revoked=self.finish)

    def take(self, batch):
        for record in batch:
            place = kafkalite.TopicPartition(record.topic, record.partition)
            queue = self.queues[place]
            queue.append(record.offset)
            self.longest = max(self.longest, len(queue))
            if len(queue) >= QUEUE and place not in self.paused:
                self.consumer.pause(place)
                self.paused.add(place)
                self.pauses += 1

    def work(self, place):
        """One job of a partition; what is handled is committed, and nobody waits for that."""
        queue = self.queues[place]
        self.consumer.commit_async({place: queue.popleft() + 1})
        self.done += 1
        if place in self.paused and len(queue) <= QUEUE // 2:
            self.consumer.resume(place)
            self.paused.discard(place)

    def finish(self, places):
        """What is to be given up is worked off first: it is ours until the next poll."""
        for place in places:
            while self.queues[place]:
                self.work(place)

    def run(self):
        while self.done < JOBS:
            batch = self.consumer.poll(timeout=0, max_records=POLL)
            if batch is not None:
                self.take(batch)
            for place in [place for place, queue in self.queues.items() if queue]:
                self.work(place)


def main(directory):
    with kafkalite.open(directory) as log:
        log.create_topic("jobs", partitions=PARTITIONS)
        with log.producer() as producer:
            for job in range(JOBS):
                producer.send("jobs", b"%d" % job, partition=job % PARTITIONS)
        worker = Worker(log)
        worker.run()
        worker.consumer.close()
    kept = "yes" if worker.longest < QUEUE + POLL else "no"
    paused = "yes" if worker.pauses else "no"
    print(f"{worker.done} jobs done; partitions were paused: {paused}; longest queue within its room: {kept}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: back_pressure.py DIR")
    main(sys.argv[1])

# prints:
# 200 jobs done; partitions were paused: yes; longest queue within its room: yes
