"""A picture of the processor time an event costs each system, as SVG: `docs/images/peers.svg`. Pure."""

import math
from collections.abc import Sequence
from html import escape

_LEFT, _WIDTH, _ROW, _TOP = 330, 790, 34, 44
_BAR = 20
_STYLE = """<style>
text { font: 14px system-ui, sans-serif; fill: #1f2933 }
.small { font-size: 12px; fill: #52606d }
.bar { fill: #9aa5b1 } .ours { fill: #0b6e4f }
@media (prefers-color-scheme: dark) {
  text { fill: #e4e7eb } .small { fill: #9aa5b1 } .bar { fill: #616e7c } .ours { fill: #3ebd93 }
}
</style>"""


def picture(bars: Sequence[tuple[str, float]], ours: str, note: str) -> str:
    """Horizontal bars by the logarithm, the longest at full width; `ours` is the title that is told apart."""
    longest = max(value for _, value in bars)
    height = _TOP + _ROW * len(bars) + 30
    words = "; ".join(f"{title} {_shown(value)}" for title, value in bars)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img">',
            f"<title>CPU µs an event by system: {escape(words)}</title>",
            _STYLE,
            '<text x="12" y="26">CPU an event, µs (logarithmic)</text>',
            *[_bar(n, title, value, longest, ours) for n, (title, value) in enumerate(bars)],
            f'<text class="small" x="12" y="{height - 10}">{escape(note)}</text>',
            "</svg>\n",
        ]
    )


def _bar(number: int, title: str, value: float, longest: float, ours: str) -> str:
    y = _TOP + _ROW * number
    room = _WIDTH - _LEFT - 80
    width = max(1.0, room * math.log10(value) / math.log10(longest))
    kind = "ours" if title == ours else "bar"
    return (
        f'<text x="{_LEFT - 12}" y="{y + 15}" text-anchor="end">{escape(title)}</text>'
        f'<rect class="{kind}" x="{_LEFT}" y="{y}" width="{width:.1f}" height="{_BAR}" rx="3"/>'
        f'<text x="{_LEFT + width + 8:.1f}" y="{y + 15}">{_shown(value)}</text>'
    )


def _shown(value: float) -> str:
    return f"{value:,.0f}"
