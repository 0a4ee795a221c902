# SPDX-License-Identifier: MIT
"""A pool of worker threads that share the partitions of a topic.

    worker_threads.py DIR

Each thread has a consumer of its own, a member of the group "workers"; the library shares the
partitions out among them. A record is committed once it is handled, so none is lost, whatever ends
a worker: at least once.
"""
import sys
import threading

import kafkalite
from kafkalite import errors

WORKERS, PARTITIONS, JOBS = 3, 6, 6000


class Done:
    def __init__(self):
        self.count = 0
        self.lock = threading.Lock()

    def add(self, number):
        with self.lock:
            self.count += number


def work(log, done):
    with log.consumer("jobs", group="workers") as consumer:
        while done.count < JOBS:
            batch = consumer.poll(timeout=0.1, max_records=50)
            if batch is None:
                continue
            # Here the work would be done.
            try:
                batch.commit()
            except (errors.IllegalGenerationError, errors.UnknownMemberIdError):
                continue  # others have these partitions by now, and do the work again
            done.add(len(batch))


def main(directory):
    done = Done()
    with kafkalite.open(directory) as log:
        log.create_topic("jobs", partitions=PARTITIONS, exist_ok=True)
        workers = [threading.Thread(target=work, args=(log, done)) for _ in range(WORKERS)]
        for worker in workers:
            worker.start()
        with log.producer() as producer:
            for job in range(JOBS):
                producer.send("jobs", b"%d" % job, partition=job % PARTITIONS)
        for worker in workers:
            worker.join()
    print(f"{done.count} jobs done")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: worker_threads.py DIR")
    main(sys.argv[1])

# prints:
# 6000 jobs done
