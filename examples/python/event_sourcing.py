# SPDX-License-Identifier: MIT
"""A bank account that is nothing but its events, used by two processes at the same time.

    event_sourcing.py DIR

One teller deposits, the other withdraws, and the balance must stay within its limits. Neither holds
a lock: a teller rebuilds the account from its events, decides, and appends its event on condition
that the log still ends where it had read to. ConflictError means that the decision was made from an
old state: read what is new, decide again.

The account also counts what each teller has done, so the log tells a teller how far it came, and a
run that was killed goes on where it was. Now and then the account is written to a second topic.
Such a snapshot only saves reading: it may be missing or old, for the events behind it make up for
that.
"""
import dataclasses
import json
import multiprocessing
import sys

import kafkalite
from kafkalite import errors

# One account is one partition, so that the end of the partition is the version of the account.
EVENTS, SNAPSHOTS = "account-42", "account-42.snapshots"
SNAPSHOT_INTERVAL, BALANCE_MAX = 100, 100
ORDERS = [(10, 300), (-15, 200)]  # of each teller: which amount, and how often


@dataclasses.dataclass
class Account:
    balance: int = 0
    lowest: int = 0
    highest: int = 0
    done: list = dataclasses.field(default_factory=lambda: [0] * len(ORDERS))
    end_offset: int = 0  # the events below are in it

    def apply(self, offset, event):
        self.balance += event["amount"]
        self.lowest, self.highest = min(self.lowest, self.balance), max(self.highest, self.balance)
        self.done[event["teller"]] += 1
        self.end_offset = offset + 1


class Bank:
    def __init__(self, log, from_the_first_event=False):
        self.events = log.create_topic(EVENTS, exist_ok=True)
        self.snapshots = log.create_topic(SNAPSHOTS, exist_ok=True)
        self.producer = log.producer()
        self.account = Account() if from_the_first_event else self.newest_snapshot()
        self.consumer = log.consumer()
        self.consumer.assign({(EVENTS, 0): self.account.end_offset})
        self.catch_up(0)

    def newest_snapshot(self):
        for record in self.snapshots.read(start=max(0, self.snapshots.end_offset() - 1)):
            return Account(**json.loads(record.value))
        return Account()

    def write_snapshot(self):
        # A power cut must not take events from below a snapshot and leave the snapshot.
        self.events.wait_durable(offset=self.account.end_offset)
        self.producer.send(SNAPSHOTS, json.dumps(dataclasses.asdict(self.account)).encode())

    def catch_up(self, timeout):
        """Bring the account up to date, waiting for news no longer than so many seconds."""
        while (batch := self.consumer.poll(timeout)) is not None:
            for record in batch:
                # What this process has appended itself is in the account already.
                if record.offset >= self.account.end_offset:
                    self.account.apply(record.offset, json.loads(record.value))
            timeout = 0


def run_teller(directory, teller):
    """What one process does."""
    amount, count = ORDERS[teller]
    with kafkalite.open(directory) as log:
        bank = Bank(log)
        while bank.account.done[teller] < count:
            if not 0 <= bank.account.balance + amount <= BALANCE_MAX:
                bank.catch_up(1)  # until the other one has done something
                continue
            event = {"teller": teller, "amount": amount}
            try:
                sent = bank.producer.send_if(EVENTS, 0, bank.account.end_offset, json.dumps(event).encode())
            except errors.ConflictError:
                bank.catch_up(0)
                continue
            bank.account.apply(sent.offset, event)
            if bank.account.end_offset % SNAPSHOT_INTERVAL == 0:
                bank.write_snapshot()


def check_account(directory):
    """Once from the first event, once from the newest snapshot: the same account must come out."""
    with kafkalite.open(directory) as log:
        account = Bank(log, from_the_first_event=True).account
        assert account == Bank(log).account
    assert 0 <= account.lowest and account.highest <= BALANCE_MAX
    for teller, (amount, _) in enumerate(ORDERS):
        print(f"teller {teller}: {account.done[teller]} times {amount:+d}")
    print(f"balance {account.balance}, and never below 0 or above {BALANCE_MAX}")


def main(directory):
    context = multiprocessing.get_context("spawn")
    tellers = [context.Process(target=run_teller, args=(directory, n)) for n in range(len(ORDERS))]
    for teller in tellers:
        teller.start()
    for teller in tellers:
        teller.join()
    if any(teller.exitcode for teller in tellers):
        sys.exit("a teller failed")
    check_account(directory)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: event_sourcing.py DIR")
    main(sys.argv[1])

# prints:
# teller 0: 300 times +10
# teller 1: 200 times -15
# balance 0, and never below 0 or above 100
