"""What the demo says of its progress where no terminal shows a moving line."""

from types import SimpleNamespace
from typing import Any

from services.cli.demo_progress import Lines


def a_run(*, until_done: bool, headless: bool = True, total: int | None = None) -> Any:
    """As much of a demo as progress is read from; it started at second 100."""
    return SimpleNamespace(
        options=SimpleNamespace(headless=headless, until_done=until_done),
        started=100.0,
        total=total,
        upstream=SimpleNamespace(published=1200),
        recipients=SimpleNamespace(handled=700, acknowledged={"a": 1, "b": 2}),
        ledger={"suppressed_by_reason": {"not_sampled": 300, "quiet_hours": 4}},
    )


def said_of(demo: Any, seconds: list[float]) -> list[str]:
    said, clock = list[str](), iter(seconds)
    lines = Lines(said.append, lambda: next(clock))
    for _ in seconds:
        lines.following(demo)
    return said


def test_how_far_it_is_stands_in_a_line_at_once_and_every_five_seconds() -> None:
    assert said_of(a_run(until_done=True, total=2000), [101.0, 103.0, 106.0, 110.9, 111.0]) == [
        "1 s: 1,004 of 2,000 done, 1,200 published, 2 answered",
        "6 s: 1,004 of 2,000 done, 1,200 published, 2 answered",
        "11 s: 1,004 of 2,000 done, 1,200 published, 2 answered",
    ]


def test_a_run_without_an_end_says_so_once() -> None:
    assert said_of(a_run(until_done=False), [101.0, 107.0]) == [
        "This runs until it is stopped; with --until-done it ends when all is counted, and proves it.",
        "1 s: 1,004 done, 1,200 published, 2 answered",
        "7 s: 1,004 done, 1,200 published, 2 answered",
    ]


def test_with_a_page_nobody_has_to_be_told_that_it_runs_on() -> None:
    assert len(said_of(a_run(until_done=False, headless=False), [101.0])) == 1


def test_each_step_of_the_start_is_told_once() -> None:
    said = list[str]()
    lines = Lines(said.append)
    for what, done in [("fetching Kafka", 1), ("fetching Kafka", 2), ("starting Kafka", 0)]:
        lines.fetching(what, done, 2)
    lines.say("ready")
    assert said == ["fetching Kafka", "starting Kafka", "ready"]
