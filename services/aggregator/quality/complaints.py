"""Complaints per thousand parcels, by cause and responsibility (D14). Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from schemas.feedback import Attribution, Cause
from services.aggregator.statistics.shares import per_thousand

FEWEST_COMPLAINTS: Final = 50
"""Fewer judged complaints than this in a month are not shown to the public."""
CAUSES: Final = (Cause.LATE, Cause.MISDELIVERED, Cause.MISSING, Cause.OTHER)
ATTRIBUTIONS: Final = (Attribution.OWN, Attribution.OTHER_OPERATOR, Attribution.UNCLEAR)


@dataclass(frozen=True, slots=True)
class Complaints:
    """Cases about a month's deliveries: judged ones by cause and responsibility, and those that wait for it."""

    delivered: int
    judged_as: Mapping[tuple[str, str], int] = field(default_factory=dict)
    waiting: int = 0
    attributions: Sequence[str] = ATTRIBUTIONS

    @property
    def judged(self) -> int:
        """How many are judged."""
        return sum(self.judged_as.values())

    def by_cause(self) -> list[tuple[str, list[int]]]:
        """Counts by cause, a number for each responsibility."""
        return [(c, [self.judged_as.get((c, a), 0) for a in ATTRIBUTIONS]) for c in CAUSES]

    def totals(self) -> list[int]:
        """Counts by responsibility."""
        return [sum(self.judged_as.get((c, a), 0) for c in CAUSES) for a in ATTRIBUTIONS]

    def rows(self) -> list[tuple[str, str, float]]:
        """Complaints per thousand parcels as (cause, responsibility, rate); none where too few are judged."""
        if self.judged < FEWEST_COMPLAINTS or not self.delivered:
            return []
        return [
            (cause, attribution, round(per_thousand(n, self.delivered), 4))
            for cause, of in self.by_cause()
            for attribution, n in zip(ATTRIBUTIONS, of, strict=True)
        ]

    def document(self) -> list[dict[str, Any]] | None:
        """The same for programs."""
        rows = self.rows()
        return [{"cause": c, "attribution": a, "per_thousand": rate} for c, a, rate in rows] if rows else None
