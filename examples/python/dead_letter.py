# SPDX-License-Identifier: MIT
"""A job that fails is tried again later, and after three attempts goes to a topic of dead letters.

    dead_letter.py DIR

The partition does not wait for it: the failed record is appended anew, with one more in its header
"attempts", and then committed. In this order, so that a crash between the two leaves it twice
rather than not at all.
"""
import sys

import kafkalite

JOBS, ATTEMPTS = 10, 3


def do_job(record):
    """Every fourth job cannot be done."""
    if int(record.value) % 4 == 0:
        raise RuntimeError("cannot be done")


def give_back(producer, record):
    attempts = int(dict(record.headers).get("attempts", b"0")) + 1
    producer.send("jobs" if attempts < ATTEMPTS else "jobs.dead", record.value, key=record.key,
                  headers=[("attempts", b"%d" % attempts)])


def main(directory):
    done = failed = 0
    with kafkalite.open(directory) as log:
        log.create_topic("jobs", exist_ok=True)
        dead = log.create_topic("jobs.dead", exist_ok=True)
        producer = log.producer()
        producer.send_many("jobs", [(None, b"%d" % job) for job in range(JOBS)])
        # A service would leave stop_at_end out, and wait for more.
        with log.consumer("jobs", group="worker", stop_at_end=True) as consumer:
            for batch in consumer.batches(max_records=4):
                for record in batch:
                    try:
                        do_job(record)
                        done += 1
                    except RuntimeError:
                        failed += 1
                        give_back(producer, record)
                batch.commit()
        print(f"{done} jobs done, {failed} attempts failed, {dead.end_offset()} dead letters")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: dead_letter.py DIR")
    main(sys.argv[1])

# prints:
# 7 jobs done, 9 attempts failed, 3 dead letters
