"""What cuts ask of records, column by column instead of record by record."""

from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import Any

from services.aggregator.counting.cuts import OF_RECORD, Cut
from services.aggregator.counting.reading import Counted

Columns = dict[str, Sequence[Any]]
"""Properties of records by their names, and of their deliveries; all are of one length."""
MOMENT, ZONE = "occurred_at", "zone"
_DRIVER = "driver"
_OF_CHARGE = ("attempt", "exceptions", "hand_overs")


class CutColumns:
    """The properties that some cuts are by; cuts of series are not looked at."""

    def __init__(self, cuts: Sequence[Cut]) -> None:
        self.cuts = cuts
        self.own = [cut for cut in cuts if not cut.of_series]
        wanted = {name for cut in self.own for name in cut.properties}
        self._of_record = sorted(wanted & {*OF_RECORD})
        charged = _OF_CHARGE if _DRIVER in wanted else ()
        self._of_delivery = sorted(wanted - {*OF_RECORD} | {MOMENT, ZONE, *charged})
        self._of_deliveries = attrgetter(*self._of_delivery)

    def of(self, counted: Sequence[Counted]) -> Columns:
        """What the cuts ask for of records, at least one, with moment and zone of each delivery."""
        deliveries = [c.delivery for c in counted]
        told = dict(zip(self._of_delivery, zip(*map(self._of_deliveries, deliveries), strict=True), strict=True))
        if _DRIVER in told and (
            told["attempt"].count(1) < len(counted) or any(told["exceptions"]) or any(told["hand_overs"])
        ):
            told[_DRIVER] = tuple(d.charged_driver for d in deliveries)
        return told | {name: [*map(attrgetter(name), counted)] for name in self._of_record}

    def values(self, columns: Columns) -> Iterator[tuple[Cut, Sequence[object]]]:
        """Each cut with the values that name its units: one property, a tuple of several, or nothing for all."""
        for cut in self.own:
            several = [columns[name] for name in cut.properties]
            if len(several) == 1:
                yield cut, several[0]
            else:
                yield cut, [*zip(*several, strict=True)] or [()] * len(columns[ZONE])
