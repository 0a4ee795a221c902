# SPDX-License-Identifier: MIT
"""The main job: a real history goes in, the tree that git itself prints comes out.

The check does not depend on our code: git says which tree the events lead to. It runs on a history
that the test makes with git, and on the files of $KAFKALITE_TEST_DATA, or of ../shared/data beside the
checkout. KFL_TEST_SEED repeats the moments of the kills.
"""
import collections
import contextlib
import lzma
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

PROGRAM = os.path.join(os.environ["KFL_EXAMPLES"], "git_history")
CONSUME = os.path.join(os.environ["KFL_EXAMPLES"], "consume")
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
LOG = ["log", "--first-parent", "-m", "--reverse", "--raw", "--no-abbrev", "--no-renames",
       "--format=commit %H %ct"]


def data_folder():
    for folder in (os.environ.get("KAFKALITE_TEST_DATA"), os.path.join(ROOT, "..", "shared", "data")):
        if folder and os.path.isdir(folder):
            return folder
    return None


def read_xz(path):
    with lzma.open(path) as file:
        return file.read()


def repository_of_data(test, name):
    folder = data_folder()
    if folder is None or not os.path.exists(os.path.join(folder, name + ".gitlog.xz")):
        test.skipTest(f"no {name}.gitlog.xz: set KAFKALITE_TEST_DATA, or put the data into ../shared/data")
    return (read_xz(os.path.join(folder, name + ".gitlog.xz")),
            sorted(read_xz(os.path.join(folder, name + ".lstree.xz")).splitlines()))


def events_of(log):
    """(path, value or None, commit), in the order of the input."""
    events, commit = [], None
    for line in log.splitlines():
        if line.startswith(b"commit "):
            commit = line.split(b" ")[1]
        elif line:
            facts, path = line.split(b"\t", 1)
            fields = facts.split(b" ")
            value = fields[1] + b" " + fields[3] if fields[1] != b"000000" else None
            events.append((path, value, commit))
    return events


def records_of(store):
    """What the log holds, a list a partition, as another program reads it."""
    done = subprocess.run([CONSUME, store, "history"], capture_output=True, timeout=60, check=True)
    partitions = collections.defaultdict(list)
    for line in done.stdout.splitlines():
        number, _, path, value, commit = line.split(b"\t")
        partitions[int(number)].append(
            (path, None if value == b"(none)" else value, commit.removeprefix(b"commit=")))
    return partitions


def made_up_history(count, first=0):
    """One event a commit, 97 paths in turn."""
    log = b"".join(b"commit %040x %d\n\n:100644 100644 %040x %040x M\tfile-%d\n" % (i, i, i, i, i % 97)
                   for i in range(first, first + count))
    newest = {i % 97: i for i in range(first, first + count)}
    return log, sorted(b"100644 blob %040x\tfile-%d" % (i, path) for path, i in newest.items())


class GitHistory(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="kafkalite-git-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.store = os.path.join(self.folder, "store")

    def git(self, *arguments, **keywords):
        environment = {"PATH": os.environ["PATH"], "HOME": self.folder, "GIT_CONFIG_NOSYSTEM": "1",
                       "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a",
                       "GIT_COMMITTER_EMAIL": "a@b"}
        return subprocess.run(["git", "-C", os.path.join(self.folder, "work"), *arguments], check=True,
                              capture_output=True, env=environment, timeout=60, **keywords).stdout

    def make_repository(self):
        """Changes, deletions, a path that comes back, quoted names, a mode, a link, a merge, a submodule."""
        if shutil.which("git") is None:
            self.skipTest("git is not installed")
        work = os.path.join(self.folder, "work")
        os.makedirs(os.path.join(work, "sub folder"))
        self.git("init", "-q", "-b", "main")

        def write(path, text):
            with open(os.path.join(work, path), "w", encoding="utf-8") as file:
                file.write(text)

        def commit():
            self.git("add", "-A")
            self.git("commit", "-q", "--no-gpg-sign", "-m", "x")

        write("plain", "1")
        write("gr\u00fc\u00df", "umlaut")
        write("sub folder/a b", "spaces")
        write('quote"tab\t', "quoted by git")
        commit()
        write("plain", "2")
        os.unlink(os.path.join(work, "gr\u00fc\u00df"))
        commit()
        os.unlink(os.path.join(work, "plain"))
        write("gr\u00fc\u00df", "back again")
        os.chmod(os.path.join(work, "sub folder", "a b"), 0o755)
        commit()
        write("plain", "back, too")
        write("gone", "for good")
        os.symlink("plain", os.path.join(work, "link"))
        commit()
        self.git("checkout", "-q", "-b", "side", "HEAD~1")
        write("of the side", "merged")
        commit()
        self.git("checkout", "-q", "main")
        os.unlink(os.path.join(work, "gone"))
        commit()
        self.git("merge", "-q", "--no-ff", "--no-gpg-sign", "-m", "merge", "side")
        # a submodule needs no second repository: its entry is only a commit's name
        self.git("update-index", "--add", "--cacheinfo", "160000," + "1" * 40 + ",module")
        self.git("commit", "-q", "--no-gpg-sign", "-m", "module")
        os.remove(os.path.join(work, "link"))
        write("link", "a file now")
        self.git("add", "link")
        self.git("commit", "-q", "--no-gpg-sign", "-m", "type change")
        return self.git(*LOG), sorted(self.git("ls-tree", "-r", "HEAD").splitlines())

    def run_program(self, log):
        done = subprocess.run([PROGRAM, self.store], input=log, capture_output=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        return sorted(done.stdout.splitlines())

    def assert_every_event_is_there_once(self, log):
        """A partition holds exactly its events of the input, in the order of the input."""
        partitions = records_of(self.store)
        events = events_of(log)
        home = {record[0]: number for number, records in partitions.items() for record in records}
        expected = collections.defaultdict(list)
        for event in events:
            expected[home.get(event[0])].append(event)
        self.assertEqual(sum(len(records) for records in partitions.values()), len(events))
        self.assertEqual(dict(partitions), dict(expected))

    def check_history(self, log, tree):
        begin = time.monotonic()
        self.assertEqual(self.run_program(log), tree)
        seconds = time.monotonic() - begin
        self.assert_every_event_is_there_once(log)
        print(f"{len(events_of(log))} events, {len(tree)} paths left, {seconds:.2f} s", file=sys.stderr)
        self.assertEqual(self.run_program(log), tree)
        self.assert_every_event_is_there_once(log)

    def kill_and_restart(self, log, tree, kill_count):
        seed = int(os.environ.get("KFL_TEST_SEED") or random.SystemRandom().randrange(1 << 32))
        print(f"KFL_TEST_SEED={seed}", file=sys.stderr)
        chance = random.Random(seed)
        # Each run gets more of the input than the one before, never its end, and is killed while it works
        # on that, or has just begun.
        for end in [0] + sorted(chance.randrange(len(log)) for _ in range(kill_count - 1)):
            child = subprocess.Popen([PROGRAM, self.store], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                     stderr=subprocess.PIPE)
            try:
                child.stdin.write(log[:end])
                child.stdin.flush()
                time.sleep(chance.random() * 0.01)
            except BrokenPipeError:
                pass  # it has ended by itself, which it must not: its words tell why
            child.kill()
            with contextlib.suppress(BrokenPipeError):
                child.stdin.close()
            message = child.stderr.read().decode()
            child.stderr.close()
            self.assertEqual(child.wait(), -9, message)
        self.assertEqual(self.run_program(log), tree)
        self.assert_every_event_is_there_once(log)

    def test_a_small_history_gives_the_tree_that_git_prints(self):
        self.check_history(*self.make_repository())

    def test_the_history_of_leveldb_gives_its_tree(self):
        self.check_history(*repository_of_data(self, "leveldb"))

    def test_the_history_of_redis_gives_its_tree(self):
        self.check_history(*repository_of_data(self, "redis"))

    def test_killed_at_any_moment_it_goes_on_and_no_event_is_there_twice(self):
        folder = data_folder()
        if folder is not None and os.path.exists(os.path.join(folder, "redis.gitlog.xz")):
            self.kill_and_restart(*repository_of_data(self, "redis"), kill_count=10)
        else:
            self.kill_and_restart(*made_up_history(25000), kill_count=10)

    def test_two_at_the_same_time_share_the_work(self):
        log, tree = made_up_history(20000)
        children = [subprocess.Popen([PROGRAM, self.store], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                     stderr=subprocess.PIPE) for _ in range(2)]
        # Neither gets the end of the input before the other has had half of it.
        half = log.index(b"\n", len(log) // 2) + 1
        for part in (log[:half], log[half:]):
            for child in children:
                child.stdin.write(part)
                child.stdin.flush()
        for child in children:
            output, message = child.communicate(timeout=60)
            self.assertEqual(child.returncode, 0, message.decode())
            self.assertEqual(sorted(output.splitlines()), tree)
        self.assert_every_event_is_there_once(log)

    def test_a_history_that_has_grown_goes_on_where_it_ended(self):
        self.run_program(made_up_history(300)[0])
        log, tree = made_up_history(1000)
        self.assertEqual(self.run_program(log), tree)
        self.assert_every_event_is_there_once(log)

    def test_another_history_is_refused(self):
        log, _ = made_up_history(300)
        self.run_program(log)
        done = subprocess.run([PROGRAM, self.store], input=made_up_history(300, first=7)[0],
                              capture_output=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"another history", done.stderr)
        self.assert_every_event_is_there_once(log)

    def test_a_line_that_is_none_is_refused(self):
        done = subprocess.run([PROGRAM, self.store], input=b"diff --git a/x b/x\n", capture_output=True,
                              timeout=60, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"diff --git", done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
