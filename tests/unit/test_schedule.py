"""Nothing leaves in quiet hours, wherever the recipient lives and whatever the clocks do that night."""

import os
import random
from datetime import datetime

import numpy as np
import pytest

from services.notifier.policy.sections import HoursRule
from services.notifier.schedule import days_later, departure
from tests.wall_clock import Drawn, Hours, between, look_at, violations

QUIET = {"quiet_from": "21:00", "quiet_until": "08:00"}
NIGHT = HoursRule.model_validate(QUIET)


def left(zone: str, ready: str, rule: HoursRule = NIGHT, country: str = "SE") -> tuple[str, str | None]:
    """When it leaves, in UTC, and what held it."""
    found = departure(rule, zone, country, datetime.fromisoformat(ready))
    return found.at.strftime("%Y-%m-%dT%H:%M:%SZ"), found.held_by


@pytest.mark.parametrize(
    ("zone", "ready", "leaves"),
    [
        ("Europe/Stockholm", "2026-10-13T12:00:00Z", "2026-10-13T12:00:00Z"),
        ("Europe/Stockholm", "2026-10-13T18:59:59Z", "2026-10-13T18:59:59Z"),  # 20:59:59
        ("Europe/Stockholm", "2026-10-13T19:00:00Z", "2026-10-14T06:00:00Z"),  # 21:00
        ("Europe/Stockholm", "2026-10-14T05:59:59Z", "2026-10-14T06:00:00Z"),
        ("Europe/Stockholm", "2026-10-14T06:00:00Z", "2026-10-14T06:00:00Z"),  # 08:00
        # Clocks go forward at 02:00 on 29 March 2026: 02:30 does not exist, the night has ten hours.
        ("Europe/Stockholm", "2026-03-28T20:00:00Z", "2026-03-29T06:00:00Z"),
        ("Europe/Stockholm", "2026-03-29T01:30:00Z", "2026-03-29T06:00:00Z"),
        # Clocks go back at 03:00 on 25 October 2026: 02:30 comes twice, the night has twelve hours.
        ("Europe/Stockholm", "2026-10-24T19:00:00Z", "2026-10-25T07:00:00Z"),
        ("Europe/Stockholm", "2026-10-25T00:30:00Z", "2026-10-25T07:00:00Z"),
        ("Europe/Stockholm", "2026-10-25T01:30:00Z", "2026-10-25T07:00:00Z"),
        # Lord Howe moves by half an hour: 08:00 is at +10:30 in winter and at +11 in summer.
        ("Australia/Lord_Howe", "2026-04-04T12:00:00Z", "2026-04-04T21:30:00Z"),
        ("Australia/Lord_Howe", "2026-10-03T12:00:00Z", "2026-10-03T21:00:00Z"),
        ("Asia/Kathmandu", "2026-10-13T16:00:00Z", "2026-10-14T02:15:00Z"),  # +05:45
        # Samoa jumped over 30 December 2011: after the 29th comes the 31st, at +14.
        ("Pacific/Apia", "2011-12-30T08:00:00Z", "2011-12-30T18:00:00Z"),
    ],
)
def test_quiet_hours_go_by_the_wall_clock_of_the_place(zone: str, ready: str, leaves: str) -> None:
    assert left(zone, ready)[0] == leaves


@pytest.mark.parametrize(
    ("rule", "ready", "leaves", "held_by"),
    [
        (QUIET, "2026-10-13T22:00:00Z", "2026-10-14T06:00:00Z", "quiet_hours"),
        ({"quiet_from": "01:00", "quiet_until": "02:30"}, "2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z",
         "quiet_hours"),  # the end is jumped over
        ({"quiet_from": "02:30", "quiet_until": "04:00"}, "2026-10-25T00:45:00Z", "2026-10-25T01:00:00Z",
         "quiet_hours"),  # put back to before the beginning
        ({"quiet_from": "01:00", "quiet_until": "02:30"}, "2026-10-25T01:10:00Z", "2026-10-25T01:30:00Z",
         "quiet_hours"),  # the second 02:30 of the night
        ({"preferred_from": "16:00", "preferred_until": "20:00"}, "2026-10-13T10:00:00Z", "2026-10-13T14:00:00Z",
         "preferred_hours"),
        ({"weekends": False}, "2026-10-17T10:00:00Z", "2026-10-18T22:00:00Z", "weekend"),
        ({"holidays": False}, "2026-12-24T23:30:00Z", "2026-12-26T23:00:00Z", "holiday"),
        ({**QUIET, "weekends": False, "holidays": False}, "2026-12-24T19:00:00Z",
         "2026-12-28T07:00:00Z", "holiday"),
    ],
)  # fmt: skip
def test_what_holds_a_message_is_told_and_lets_it_go_at_the_first_moment(
    rule: dict[str, object], ready: str, leaves: str, held_by: str
) -> None:
    assert left("Europe/Stockholm", ready, HoursRule.model_validate(rule)) == (leaves, held_by)


def test_without_hours_everything_leaves_at_once() -> None:
    assert left("Europe/Stockholm", "2026-10-13T01:00:00Z", HoursRule()) == ("2026-10-13T01:00:00Z", None)


@pytest.mark.parametrize(
    ("asked", "reminded"),
    [
        ("2026-03-27T09:00:00Z", "2026-03-30T08:00:00Z"),  # 10:00 on the wall, on both sides of the change
        ("2026-10-23T08:00:00Z", "2026-10-26T09:00:00Z"),
        ("2026-10-13T18:30:00Z", "2026-10-16T18:30:00Z"),
        ("2026-10-13T22:30:00Z", "2026-10-17T06:00:00Z"),  # asked at night by another rule: never reminded at night
    ],
)
def test_a_reminder_keeps_the_time_of_the_day_and_the_quiet_hours(asked: str, reminded: str) -> None:
    ready = days_later("Europe/Stockholm", datetime.fromisoformat(asked), 3)
    found = departure(NIGHT, "Europe/Stockholm", "SE", ready)
    assert found.at == datetime.fromisoformat(reminded)


def test_days_later_a_time_that_the_clock_jumps_over_is_as_much_later_as_it_jumps() -> None:
    asked = datetime.fromisoformat("2026-03-26T01:30:00Z")  # 02:30 in Stockholm
    assert days_later("Europe/Stockholm", asked, 3) == datetime.fromisoformat("2026-03-29T01:30:00Z")  # 03:30


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"quiet_from": "21:00"}, "give both ends"),
        ({"quiet_from": "21:00", "quiet_until": "21:00"}, "must differ"),
        ({"quiet_from": "24:00", "quiet_until": "08:00"}, "time of day"),
        ({"quiet_from": 21, "quiet_until": "08:00"}, "time of day"),
        ({**QUIET, "preferred_from": "22:00", "preferred_until": "07:00"}, "quiet"),
    ],
)  # fmt: skip
def test_hours_that_make_no_sense_are_refused(given: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        HoursRule.model_validate(given)


def test_a_clock_that_is_put_forward_a_minute_past_midnight_is_followed_to_the_minute() -> None:
    rule = HoursRule.model_validate({"quiet_from": "11:53", "quiet_until": "00:13"})
    ready, leaves = "2021-10-02T04:29:16Z", "2021-10-02T16:01:00Z"  # 00:01 became 03:01
    assert left("Antarctica/Casey", ready, rule) == (leaves, "quiet_hours")
    hours = Hours(rule, np.tile(~between(11 * 60 + 53, 13), 7))
    drawn = Drawn(hours, "Antarctica/Casey", datetime.fromisoformat(ready))
    assert violations(drawn, datetime.fromisoformat(leaves)) == []
    assert violations(drawn, datetime.fromisoformat("2021-10-02T16:00:00Z")) == ["it leaves at a forbidden time"]


def test_schedules_over_all_zones_and_nights_keep_the_rules_and_hold_no_longer_than_they_must() -> None:
    """`make test-properties` looks at 1,000,000; each call here at other ones."""
    cases = int(os.environ.get("SCHEDULES", "2000"))
    seed = random.SystemRandom().randrange(2**32)
    found = look_at(cases, seed, lambda c: departure(c.hours.rule, c.zone, "XX", c.ready).at)
    assert found == [], f"seed {seed}"
