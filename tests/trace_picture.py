"""Draws one real trace, from delivery to counter, as docs/images/trace.svg: `make trace`."""

import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

from tests.kvittera import kvittera
from tests.span_collector import Step, collecting

FILE: Final = Path(__file__).parent.parent / "docs" / "images" / "trace.svg"
COLOURS: Final = {"notifier": "#1f6f8b", "survey": "#8a5a00", "aggregator": "#5b4b8a"}
_ROW, _TOP, _LEFT, _WIDTH, _GAP = 34, 20, 330, 940, 90
_LONGEST_IDLE_NS: Final = 100_000_000
"""Where nothing happens for longer than this the picture skips the time, and says how much."""
_MS, _S = 1e6, 1e9


def stretches(steps: Sequence[Step]) -> list[tuple[int, int]]:
    """From when to when something happened, in nanoseconds, first to last; long idle times lie between them."""
    found: list[tuple[int, int]] = []
    for span in sorted((s.span for s in steps), key=lambda s: s.start_time_unix_nano):
        start, end = span.start_time_unix_nano, span.end_time_unix_nano
        if found and start - found[-1][1] <= _LONGEST_IDLE_NS:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return found


def busy_ns(steps: Sequence[Step]) -> int:
    """How long something happened, in nanoseconds."""
    return sum(end - start for start, end in stretches(steps))


class Scale:
    """Where a moment stands in the picture."""

    def __init__(self, parts: Sequence[tuple[int, int]]) -> None:
        self.parts = parts
        busy = sum(end - start for start, end in parts) or 1
        self._per_ns = (_WIDTH - _LEFT - 80 - _GAP * (len(parts) - 1)) / busy

    def at(self, moment: int) -> float:
        """Pixels from the left."""
        x = float(_LEFT)
        for start, end in self.parts:
            if moment <= end:
                return x + max(0, moment - start) * self._per_ns
            x += (end - start) * self._per_ns + _GAP
        return x - _GAP


def drawn(steps: Sequence[Step]) -> str:
    """The trace as SVG: a row for each step, and time from left to right."""
    ordered = sorted(steps, key=lambda s: (s.span.start_time_unix_nano, s.short))
    scale = Scale(stretches(ordered))
    height = _TOP + _ROW * len(ordered) + 34
    return "\n".join(
        [
            (
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img"'
                ' font-family="system-ui, sans-serif" font-size="13" fill="#1c1c1c">'
            ),
            "<title>One delivery from its record to the counters</title>",
            f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
            *_skips(scale, height - 30),
            *_causes(ordered, scale),
            *_bars(ordered, scale),
            "</svg>\n",
        ]
    )


def _skips(scale: Scale, bottom: int) -> Iterator[str]:
    for (_, before), (after, _) in zip(scale.parts, scale.parts[1:], strict=False):
        x = scale.at(before) + _GAP / 2
        yield f'<line x1="{x:.1f}" y1="8" x2="{x:.1f}" y2="{bottom}" stroke="#8c8c8c" stroke-dasharray="3 5"/>'
        yield f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{(after - before) / _S:.1f} s pass</text>'


def _causes(ordered: Sequence[Step], scale: Scale) -> Iterator[str]:
    """A line from each step to those that its records caused."""
    rows = {step.span.span_id: n for n, step in enumerate(ordered)}
    for n, step in enumerate(ordered):
        cause = rows.get(step.span.parent_span_id)
        if cause is not None:
            x0, x1 = scale.at(ordered[cause].span.end_time_unix_nano), scale.at(step.span.start_time_unix_nano)
            path = f"M{x0:.1f} {_middle(cause)} V{_middle(n)} H{x1:.1f}"
            yield f'<path d="{path}" fill="none" stroke="#8c8c8c"/>'


def _bars(ordered: Sequence[Step], scale: Scale) -> Iterator[str]:
    for n, step in enumerate(ordered):
        service = step.service.removeprefix("kvittera-")
        start, end = step.span.start_time_unix_nano, step.span.end_time_unix_nano
        x, wide = scale.at(start), max(3.0, scale.at(end) - scale.at(start))
        topic = step.span.name.rpartition(": ")[2]
        yield f'<text x="12" y="{_middle(n) + 5}" font-weight="600" fill="{COLOURS[service]}">{escape(service)}</text>'
        yield f'<text x="100" y="{_middle(n) + 5}">{escape(topic)}</text>'
        yield (
            f'<rect x="{x:.1f}" y="{_middle(n) - 8}" width="{wide:.1f}" height="16" rx="3" fill="{COLOURS[service]}"/>'
        )
        yield f'<text x="{x + wide + 6:.1f}" y="{_middle(n) + 5}">{(end - start) / _MS:,.1f} ms</text>'


def _middle(row: int) -> int:
    return _TOP + _ROW * row + _ROW // 2


def main() -> int:
    """Let a few deliveries go round, and draw the quickest of those that went through the most hands."""
    with tempfile.TemporaryDirectory() as folder, collecting() as (url, traces):
        done = kvittera(
            Path(folder),
            *("demo", "--headless", "--fresh", "--until-done", "--deliveries", "40", "--rate", "10"),
            KVITTERA_OTLP_ENDPOINT=url,
            KVITTERA_TRACE_SHARE="1",
        )
    if done.returncode:
        sys.stderr.write(done.stderr)
        return 1
    chosen = max(traces.values(), key=lambda steps: (len({s.short for s in steps}), -busy_ns(steps)))
    FILE.write_text(drawn(chosen), encoding="utf-8")
    sys.stdout.write(f"{FILE.relative_to(Path.cwd())}: {len(chosen)} steps\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
