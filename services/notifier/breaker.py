"""When a provider fails again and again, it is left alone for a while. Pure; each process judges for itself."""

from collections.abc import Callable
from dataclasses import dataclass, field

from services.notifier.channels import Fate

_MOST_IN_A_ROW = 10
_FIRST_PAUSE = 5.0
_LONGEST_PAUSE = 300.0


@dataclass(slots=True)
class _Line:
    failed: int = 0
    pauses: int = 0
    open_until: float | None = None


@dataclass(slots=True)
class ProviderBreaker:
    """Counts failures in a row by kind of channel; a definite refusal of one message is no failure of the provider.

    After ten it is open for a drawn pause that doubles; then one call goes to see, and tells.

    Attributes:
        clock: seconds, never going back.
        share: a number between two, evenly drawn: processes must not come back in step.
    """

    clock: Callable[[], float]
    share: Callable[[float, float], float]
    _lines: dict[str, _Line] = field(default_factory=dict)

    def note(self, kind: str, fate: Fate) -> None:
        """Take a result into account."""
        line = self._lines.setdefault(kind, _Line())
        if fate in {Fate.ACCEPTED, Fate.REFUSED}:
            self._lines[kind] = _Line()
            return
        line.failed += 1
        if line.failed >= _MOST_IN_A_ROW and (line.open_until is None or self.clock() >= line.open_until):
            ceiling = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**line.pauses)
            line.pauses += 1
            line.open_until = self.clock() + self.share(ceiling / 2, ceiling)

    def allowed(self) -> dict[str, int]:
        """How many calls may begin now, for the kinds that have a limit."""
        now = self.clock()
        return {
            kind: 0 if now < line.open_until else 1 for kind, line in self._lines.items() if line.open_until is not None
        }

    def is_open(self, kind: str) -> bool:
        """Whether the provider of a kind is left alone, or only just tried again."""
        line = self._lines.get(kind)
        return line is not None and line.open_until is not None
