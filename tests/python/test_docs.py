# SPDX-License-Identifier: MIT
"""What docs/python.md and the README show is what happens; and every option is named there."""
import doctest
import os
import re

import kafkalite
from kafkalite._facade import options
from kafkalite.admin.topics import IGNORED_CONFIGS

SOURCE = os.environ["KFL_SOURCE"]
FLAGS = doctest.ELLIPSIS


def read(name):
    with open(os.path.join(SOURCE, name), encoding="utf-8") as file:
        return file.read()


def run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = read(name)
    blocks = re.findall(r"^```pycon\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert blocks, name
    test = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, name, name, 0)
    told = []
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    runner.run(test, out=told.append)
    assert runner.failures == 0, "".join(told)
    assert runner.tries == len(test.examples) > 3


def test_the_page_shows_what_happens(tmp_path, monkeypatch):
    run("docs/python.md", tmp_path, monkeypatch)


def test_the_readme_shows_what_happens(tmp_path, monkeypatch):
    run("README.md", tmp_path, monkeypatch)


def test_what_has_no_effect_is_named():
    page = read("docs/python.md")
    named = re.findall(r"`([a-z_.*]+)`", page)
    for option in [
        *options.NETWORK,
        *kafkalite.KafkaProducer._IGNORED,
        *kafkalite.KafkaConsumer._IGNORED,
        *IGNORED_CONFIGS,
    ]:
        covered = any(re.fullmatch(name.replace(".", r"\.").replace("*", ".*"), option) for name in named)
        if option in ("bootstrap_servers", "bootstrap_topics_filter", "enable_incremental_fetch_sessions"):
            continue
        assert covered or "throttled" in option, option
