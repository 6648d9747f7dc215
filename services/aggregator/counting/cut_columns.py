"""What cuts ask of records, column by column instead of record by record."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from operator import attrgetter
from typing import Any

from services.aggregator.counting.cuts import OF_RECORD, Cut, wave_days
from services.aggregator.counting.reading import Counted, Facts

Columns = dict[str, list[Any]]
"""Properties of records by their names, and of their deliveries; all are of one length."""
MOMENT, ZONE = "occurred_at", "zone"


def _charged(deliveries: Sequence[Facts]) -> list[str | None]:
    """The drivers who answer for deliveries; most went so that nobody has to ask who that is."""
    return [
        d.driver if d.attempt == 1 and not d.exceptions and not d.hand_overs else d.charged_driver for d in deliveries
    ]


# Written out, because to ask for an attribute by a name that is known only later takes twice as long.
_COLUMNS: Mapping[str, Callable[[Sequence[Facts]], list[Any]]] = {
    "carrier": lambda deliveries: [d.carrier for d in deliveries],
    "country": lambda deliveries: [d.country for d in deliveries],
    "postcode_prefix": lambda deliveries: [d.postcode_prefix for d in deliveries],
    "terminal": lambda deliveries: [d.terminal for d in deliveries],
    "route": lambda deliveries: [d.route for d in deliveries],
    "driver": _charged,
    "service_point": lambda deliveries: [d.service_point for d in deliveries],
    "merchant_id": lambda deliveries: [d.merchant_id for d in deliveries],
    "method": lambda deliveries: [d.method for d in deliveries],
    "method_chosen_by_recipient": lambda deliveries: [d.method_chosen_by_recipient for d in deliveries],
    "touchpoint": lambda deliveries: [d.touchpoint for d in deliveries],
    "attempt": lambda deliveries: [d.attempt for d in deliveries],
    "late": lambda deliveries: [d.late for d in deliveries],
    "disruption": lambda deliveries: [d.disruption for d in deliveries],
    "disrupted": lambda deliveries: [d.disrupted for d in deliveries],
    MOMENT: lambda deliveries: [d.occurred_at for d in deliveries],
    ZONE: lambda deliveries: [d.zone for d in deliveries],
}


def _of_records(name: str) -> Callable[[Sequence[Counted]], list[Any]] | None:
    """What finds a property of records themselves; None: it is one of their deliveries."""
    if (days := wave_days(name)) is not None:
        first_wave = timedelta(days=days)
        return lambda counted: [c.wave(first_wave) for c in counted]
    told = attrgetter(name)
    return (lambda counted: [*map(told, counted)]) if name in OF_RECORD else None


class CutColumns:
    """The properties that some cuts are by; cuts of series are not looked at."""

    def __init__(self, cuts: Sequence[Cut]) -> None:
        self.cuts = cuts
        self.own = [cut for cut in cuts if not cut.of_series]
        wanted = {name for cut in self.own for name in cut.properties}
        self._of_record = [(name, column) for name in sorted(wanted) if (column := _of_records(name)) is not None]
        rest = wanted - {name for name, _ in self._of_record}
        self._of_delivery = [(name, _COLUMNS[name]) for name in rest | {MOMENT, ZONE}]

    def of(self, counted: Sequence[Counted]) -> Columns:
        """What the cuts ask for of records, at least one, with moment and zone of each delivery."""
        deliveries = [c.delivery for c in counted]
        told = {name: column(deliveries) for name, column in self._of_delivery}
        return told | {name: column(counted) for name, column in self._of_record}

    def values(self, columns: Columns) -> Iterator[tuple[Cut, Sequence[object]]]:
        """Each cut with the values that name its units: one property, a tuple of several, or nothing for all."""
        for cut in self.own:
            several = [columns[name] for name in cut.properties]
            if len(several) == 1:
                yield cut, several[0]
            else:
                yield cut, [*zip(*several, strict=True)] or [()] * len(columns[ZONE])
