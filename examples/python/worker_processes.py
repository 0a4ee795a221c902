# SPDX-License-Identifier: MIT
"""Worker processes, of which one is killed in the middle of its work.

    worker_processes.py DIR

Three processes share the partitions of a topic. One of them gets a SIGKILL: no good-bye, no
clean-up. The others have its partitions milliseconds later, and go on where it had committed.
"""
import multiprocessing
import sys
import time

import kafkalite

WORKERS, PARTITIONS, JOBS = 3, 6, 3000


def work(directory):
    """A process of its own: it opens the store itself, as every process does."""
    with kafkalite.open(directory) as log, log.consumer("jobs", group="workers") as consumer:
        for batch in consumer.batches(max_records=20):
            time.sleep(0.002)  # the work
            batch.commit()


def jobs_done(log):
    """What the group has committed: so many jobs are done for good."""
    return sum(committed.offset for committed in log.groups["workers"].committed().values())


def main(directory):
    # What a forked process inherits of a store it cannot use; one that is spawned inherits nothing.
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=work, args=(directory,)) for _ in range(WORKERS)]
    with kafkalite.open(directory) as log:
        log.create_topic("jobs", partitions=PARTITIONS, exist_ok=True)
        before = jobs_done(log)
        for worker in workers:
            worker.start()
        with log.producer() as producer:
            for job in range(JOBS):
                producer.send("jobs", b"%d" % job, partition=job % PARTITIONS)
        while jobs_done(log) - before < JOBS // 3:
            time.sleep(0.001)
        workers[0].kill()
        while jobs_done(log) - before < JOBS:
            time.sleep(0.001)
        print(f"{jobs_done(log) - before} jobs done, with one worker killed in the middle")
        for worker in workers:
            worker.kill()
            worker.join()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: worker_processes.py DIR")
    main(sys.argv[1])

# prints:
# 3000 jobs done, with one worker killed in the middle
