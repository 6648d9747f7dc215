"""What cuts ask of records, column by column, is what each record says by itself."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.aggregator.counting.cut_columns import CutColumns
from services.aggregator.counting.cuts import OF_DELIVERY, cut_named
from services.aggregator.counting.hand_overs import Leg
from services.aggregator.counting.reading import CountedAnswer, Facts

NOON = datetime(2026, 10, 13, 12, 0, tzinfo=UTC)


def answer(days: float = 0, **delivery: Any) -> CountedAnswer:
    facts = Facts("Nordposten Demo", "SE", "home_day", NOON, "Europe/Stockholm", "D-1", driver="anna", **delivery)
    return CountedAnswer(uuid.UUID(int=1), 1, NOON, facts, 5, language="sv", answered_at=NOON + timedelta(days=days))


@pytest.mark.parametrize(
    ("strange", "charged"),
    [
        (answer(), ["anna", "anna"]),
        (answer(attempt=2), ["anna", None]),
        (answer(exceptions=("damaged",)), ["anna", None]),
        (answer(exceptions=("address_unclear",)), ["anna", "anna"]),
        (answer(hand_overs=(Leg("driver", "anna"),)), ["anna", "anna"]),
        (answer(hand_overs=(Leg("driver", "anna"), Leg("service_point", "SP1"))), ["anna", None]),
        (answer(hand_overs=(Leg("driver", "anna", ("damaged",)),)), ["anna", None]),
    ],
)
def test_a_driver_is_charged_in_a_column_as_in_a_single_record(strange: CountedAnswer, charged: list[str]) -> None:
    columns = CutColumns([cut_named("driver")])
    assert [[*values] for _, values in columns.values(columns.of([answer(), strange]))] == [charged]


def test_cuts_by_one_several_and_no_property_and_by_fields_of_the_record_have_their_values_in_order() -> None:
    columns = CutColumns(
        [cut_named(name) for name in ("total", "terminal.late", "wave", "terminal.wave_9", "language.method", "series")]
    )
    told = columns.of([answer(), answer(days=9, terminal="T1", late=True)])
    assert [(cut.name, [*values]) for cut, values in columns.values(told)] == [
        ("total", [(), ()]),
        ("terminal.late", [(None, None), ("T1", True)]),
        ("wave", ["early", "late"]),
        ("terminal.wave_9", [(None, "early"), ("T1", "early")]),
        ("language.method", [("sv", "home_day"), ("sv", "home_day")]),
    ]


def test_every_property_of_a_delivery_has_a_column_of_its_own() -> None:
    plain = Facts("Posten", "SE", "home_day", NOON, "Europe/Stockholm", "D-1")
    full = Facts(
        *("DAO", "DK", "parcel_locker", NOON, "Europe/Copenhagen", "D-2", "117", "T1", "R2", "d3", "SP4", "m5"),
        method_chosen_by_recipient=True,
        touchpoint="locker",
        attempt=1,
        late=False,
        disruption="storm",
    )
    told = CutColumns([cut_named(name) for name in OF_DELIVERY]).of(
        [CountedAnswer(uuid.UUID(int=1), 1, NOON, facts) for facts in (plain, full)]
    )
    assert told == {
        "carrier": ["Posten", "DAO"],
        "country": ["SE", "DK"],
        "postcode_prefix": [None, "117"],
        "terminal": [None, "T1"],
        "route": [None, "R2"],
        "driver": [None, "d3"],
        "service_point": [None, "SP4"],
        "merchant_id": [None, "m5"],
        "method": ["home_day", "parcel_locker"],
        "method_chosen_by_recipient": [None, True],
        "touchpoint": ["home", "locker"],
        "attempt": [1, 1],
        "late": [None, False],
        "disruption": [None, "storm"],
        "disrupted": [False, True],
        "occurred_at": [NOON, NOON],
        "zone": ["Europe/Stockholm", "Europe/Copenhagen"],
    }
