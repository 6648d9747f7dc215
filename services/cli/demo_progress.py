"""What `kvittera demo` shows while it runs: one moving line on a terminal, and lines now and then anywhere else."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from services.demo.runtime import Demo

_LINE_EVERY_S = 5.0


class Shown(Protocol):
    """What people see of a run."""

    def say(self, sentence: str) -> None:
        """One line that stays."""

    def fetching(self, what: str, done: int, total: int) -> None:
        """What the embedded servers are doing."""

    def following(self, demo: "Demo") -> None:
        """How far the run is."""

    def close(self) -> None:
        """Nothing moves any more."""


def shown() -> Shown:
    """What fits the place that standard error goes to."""
    from rich.console import Console

    console = Console(stderr=True)
    if console.is_terminal:
        return Bar(console)
    return Lines(lambda line: console.print(line, soft_wrap=True, highlight=False))


@dataclass(slots=True)
class Lines:
    """For files, pipes and logs: what is being started once, and how far the run is every five seconds."""

    write: Callable[[str], None]
    clock: Callable[[], float] = time.monotonic
    _doing: str = ""
    _told: float | None = None

    def say(self, sentence: str) -> None:
        """See `Shown`."""
        self.write(sentence)

    def fetching(self, what: str, done: int, total: int) -> None:  # noqa: ARG002 - lines do not move
        """See `Shown`."""
        if what != self._doing:
            self._doing = what
            self.write(what)

    def following(self, demo: "Demo") -> None:
        """See `Shown`."""
        now = self.clock()
        if self._told is None and demo.options.headless and not demo.options.until_done:
            self.write("This runs until it is stopped; with --until-done it ends when all is counted, and proves it.")
        if self._told is None or now - self._told >= _LINE_EVERY_S:
            self._told = now
            of = "" if demo.total is None else f" of {demo.total:,}"
            self.write(f"{now - demo.started:.0f} s: {_handled(demo):,}{of} done, {_words(demo)}")

    def close(self) -> None:
        """See `Shown`."""


@dataclass(slots=True)
class Bar:
    """For terminals."""

    console: Any
    _bar: Any = None
    _task: Any = field(init=False)

    def __post_init__(self) -> None:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            SpinnerColumn,
            TextColumn,
            TimeRemainingColumn,
        )

        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
        )
        self._bar.start()
        self._task = self._bar.add_task("starting", total=None, rate="")

    def say(self, sentence: str) -> None:
        """See `Shown`."""
        self.console.print(sentence)

    def fetching(self, what: str, done: int, total: int) -> None:
        """See `Shown`."""
        self._bar.update(self._task, description=what, completed=done, total=total or None, rate="")

    def following(self, demo: "Demo") -> None:
        """See `Shown`."""
        seconds = max(0.001, time.monotonic() - demo.started)
        handled = _handled(demo)
        self._bar.update(
            self._task,
            description=_words(demo),
            completed=min(handled, demo.total or handled),
            total=demo.total,
            rate=f"{handled / seconds:,.0f}/s",
        )

    def close(self) -> None:
        """See `Shown`."""
        self._bar.stop()


def _handled(demo: "Demo") -> int:
    suppressed: dict[str, int] = demo.ledger.get("suppressed_by_reason", {})
    return demo.recipients.handled + sum(suppressed.values())


def _words(demo: "Demo") -> str:
    return f"{demo.upstream.published:,} published, {len(demo.recipients.acknowledged):,} answered"
