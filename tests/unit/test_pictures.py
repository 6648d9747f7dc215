"""Every picture of the documents is drawn by a target of the Makefile, from what is real."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests import demo_picture, pictures, trace_picture
from tests.benchmarks.peers.__main__ import PICTURE as PEERS
from tests.demo_picture import ANSWERS, worth_a_picture

DRAWERS = {
    "tests.pictures": {pictures.IMAGES / name for name in pictures.DRAWN},
    "tests.demo_picture": {demo_picture.FILE},
    "tests.trace_picture": {trace_picture.FILE},
    "tests.benchmarks.peers": {PEERS},
}
"""Programs, and the files that each draws."""
BY_DOCS = ["tests.pictures", "tests.demo_picture", "tests.trace_picture"]
MOST_BYTES = 250_000
SEEN: dict[str, Any] = {
    "answers": ANSWERS,
    "audit": "0 lost · 0 double",
    "captions": ["Tapped 5", "Saved, may add more", "SMS, just arrived", "Replied STOP", "SMS, opened", "SMS, opened"],
    "cut": False,
    "trouble": "",
}


def run_by(target: str, folder: Path) -> list[str]:
    """The programs that a target of the Makefile would run, in their order."""
    told = subprocess.run(["make", "--dry-run", target], cwd=folder, capture_output=True, text=True, check=True).stdout
    return re.findall(r"bin/(?:python -m )?(tests[.\w]+|zensical build)", told)


def test_every_picture_of_the_documents_has_one_program_that_draws_it(repository: Path) -> None:
    there = sorted((repository / "docs/images").iterdir())
    assert sorted(file for files in DRAWERS.values() for file in files) == there


def test_make_docs_draws_the_pages_and_the_trace_before_it_builds_the_site(repository: Path) -> None:
    assert run_by("docs", repository) == [*BY_DOCS, "zensical build"]
    assert run_by("site", repository) == ["zensical build"]
    assert run_by("bench-peers", repository) == ["tests.benchmarks.peers"]
    assert {*BY_DOCS, "tests.benchmarks.peers"} == set(DRAWERS)


def test_the_pictures_are_small_and_that_of_the_demo_is_a_whole_screen(repository: Path) -> None:
    assert [file.name for file in (repository / "docs/images").iterdir() if file.stat().st_size > MOST_BYTES] == []
    with Image.open(demo_picture.FILE) as picture:
        assert picture.size == (1440, 900)


@pytest.mark.parametrize(
    "changed",
    [
        {"answers": ANSWERS - 1},
        {"audit": "Not audited yet"},
        {"captions": SEEN["captions"][:5]},
        {"captions": ["Tapped 5"] * 3 + ["Replied STOP"] * 3},
        {"captions": ["Saved, may add more", *SEEN["captions"][1:5], "E-mail, opened"]},
        {"trouble": "the aggregator is down"},
        {"cut": True},
    ],
    ids=["too early", "not audited", "empty phone", "all alike", "nobody taps", "in trouble", "cut"],
)
def test_a_page_that_shows_less_than_it_can_is_not_worth_a_picture(changed: dict[str, object]) -> None:
    assert worth_a_picture(SEEN)
    assert not worth_a_picture({**SEEN, **changed})
