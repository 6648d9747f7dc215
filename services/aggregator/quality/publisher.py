"""Whose public page it is, and what surrounds the month that is shown."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.aggregator.quality.complaints import Complaints
from services.aggregator.quality.corrections import Correction
from services.aggregator.quality.months import Change
from services.aggregator.quality.notes import Notes, load_notes
from services.chassis.settings import Settings


@dataclass(frozen=True, slots=True)
class Publisher:
    """Whose page it is, and how long after its end a month is closed."""

    brand: str
    demo: bool
    tolerance_days: float
    notes: Notes


def publisher_of(settings: Settings) -> Publisher:
    """The publisher that the settings describe.

    Raises:
        MustStop: the file of notes cannot be read.
    """
    notes = load_notes(settings.quality_notes_file)
    return Publisher(settings.brand, settings.demo_mark, settings.month_tolerance_days, notes)


@dataclass(frozen=True, slots=True)
class Shelf:
    """What surrounds the month that is shown: closed months, changes for everybody, complaints, all corrections."""

    closed: Sequence[int]
    changes: Sequence[Change] = ()
    complaints: Complaints | None = None
    corrections: Sequence[Correction] = ()
    """Of every month, the latest one first."""
