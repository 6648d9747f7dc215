"""The pages of a terminal and of a driver: shares with intervals, nothing of too few, nothing to subtract."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from services.aggregator.figures.months import month_number
from services.aggregator.figures.suppressions import suppression_rows
from services.aggregator.figures.unit_figures import Unit, unit_of
from services.aggregator.staff import driver as driver_page
from services.aggregator.staff import terminal as terminal_page
from services.aggregator.staff.driver import months_of, praise_of
from services.aggregator.staff.page import render
from services.aggregator.statistics import share_of
from services.chassis.staff import EVERYWHERE, Member, Role
from services.chassis.staff.id_tokens import roles_of

TODAY = date(2026, 10, 13)
NOW = datetime(2026, 10, 13, 14, 32, tzinfo=UTC)
UNKNOWN = "How many were reached is not known:"
SEPTEMBER = month_number("2026-09")


def cell(day: date, *scores: int, value: str = "Årsta") -> dict[str, Any]:
    n = sum(scores)
    counted = {"scores": list(scores), "answers": n, "asked": 4 * n, "delivered": 8 * n, "suppressed": n}
    return {"value": value, "start": day.isoformat(), **counted}


def page_of(unit: Unit) -> str:
    marked = {"what": "evening delivery", "starts_on": "2026-10-01", "effect": None, "sure": False}
    values = terminal_page.told(unit, share_of(880, 1000), [], [marked], NOW)
    return render("terminal.html", **values).decode()


def test_suppressed_requests_stand_by_reason_the_most_frequent_first_and_what_was_withheld_later_last() -> None:
    assert suppression_rows({"not_sampled": 8, "opted_out": 31}, 42, 400) == [
        ("opted out", "31", "7.8\u00a0%"),
        ("not sampled", "8", "2.0\u00a0%"),
        ("planned first, withheld later", "3", "0.8\u00a0%"),
    ]
    assert len(suppression_rows({"opted_out": 42}, 42, 400)) == 1
    assert suppression_rows({}, 42, 400) == []


def test_a_terminal_adds_up_four_weeks_and_leaves_out_what_is_older() -> None:
    cells = [cell(TODAY - timedelta(days=d), 1, 0, 0, 3, 6) for d in (0, 27, 28)]
    unit = unit_of("Årsta", cells, [], TODAY)
    assert (unit.answers, unit.delivered, len(unit.days)) == (20, 160, 28)
    assert [unit.days[n].name for n in (0, 1, 27)] == ["2026-09-16", "2026-09-17", "2026-10-13"]
    assert unit.satisfied is not None
    assert (unit.satisfied.k, unit.satisfied.n) == (18, 20)
    assert unit.response is not None
    assert unit.response.share == 0.25


@pytest.mark.parametrize(
    ("reached", "label", "value", "note"),
    [
        (64, "of reached", "31", "21–43, n 64. Of delivered 12.5\u00a0%"),
        (
            63,
            "of asked",
            "25",
            f"17–35, n 80. Of delivered 12.5\u00a0%. {UNKNOWN} receipts tell of fewer than 80\u00a0%",
        ),
        (0, "of asked", "25", f"17–35, n 80. Of delivered 12.5\u00a0%. {UNKNOWN} there are no receipts"),
    ],
)
def test_a_terminal_tells_both_response_rates_or_why_only_one_is_known(
    reached: int, label: str, value: str, note: str
) -> None:
    unit = unit_of("Årsta", [cell(TODAY, 2, 0, 0, 6, 12) | {"reached": reached}], [], TODAY)
    figure = page_of(unit).split("Response rate, ")[1].split("</div>")[0]
    assert figure.startswith(f"{label}</dt>")
    [found, said] = re.findall(r'class="(?:lead|note)">([^<]*)<', figure)
    assert (found, said.removesuffix(" of those asked")) == (f"{value}\u00a0%", note)


def test_a_terminal_with_too_few_answers_tells_no_response_rate() -> None:
    unit = unit_of("Årsta", [cell(TODAY, 1, 0, 0, 0, 3) | {"reached": 16}], [], TODAY)
    assert (unit.response, unit.response_of_reached, unit.response_of_delivered) == (None, None, None)
    assert "Of delivered" not in page_of(unit)


def test_a_day_that_has_begun_further_east_is_the_last_one() -> None:
    unit = unit_of("Årsta", [cell(TODAY + timedelta(days=1), 0, 0, 0, 0, 9)], [], TODAY)
    assert unit.last == date(2026, 10, 14)
    assert unit_of("Årsta", [cell(TODAY + timedelta(days=9), 0, 0, 0, 0, 9)], [], TODAY).last == date(2026, 10, 14)


def test_a_day_with_too_few_answers_hides_with_the_smallest_other_day() -> None:
    scores = {0: (0, 0, 0, 0, 9), 1: (1, 0, 0, 0, 2), 2: (1, 0, 0, 0, 30)}
    unit = unit_of("Årsta", [cell(TODAY - timedelta(days=d), *s) for d, s in scores.items()], [], TODAY)
    assert [(p.satisfied is not None, p.hidden) for p in unit.days[-3:]] == [
        (True, False),
        (False, True),
        (False, True),
    ]
    assert unit.days[0].hidden is False


def days_of(*scores: tuple[int, ...]) -> Unit:
    """A terminal from its scores by day, the newest first."""
    return unit_of("Årsta", [cell(TODAY - timedelta(days=d), *s) for d, s in enumerate(scores)], [], TODAY)


def test_the_last_days_stand_beside_the_four_weeks_where_these_hold_more_than_a_hundred_answers() -> None:
    unit = days_of((0, 0, 0, 0, 70), (10, 0, 0, 0, 40), (80, 0, 0, 0, 0))
    assert unit.lately is not None
    assert (unit.lately.k, unit.lately.n) == (110, 120)
    # 110 of 120: Wilson 85.3 to 95.4
    row = '<th scope="row">Satisfied %, the last days</th><td class="num share">91.7</td><td class="num">85.3–95.4</td>'
    assert row in page_of(unit)
    assert days_of((0, 0, 0, 0, 70), (10, 0, 0, 0, 40)).lately is None


def test_the_last_days_are_not_told_where_a_hidden_day_could_be_worked_out() -> None:
    assert days_of((0, 0, 0, 0, 90), (3, 0, 0, 0, 0), (0, 0, 0, 0, 20), (0, 0, 0, 0, 10)).lately is None
    assert days_of((0, 0, 0, 0, 96), (0, 0, 0, 0, 8), (3, 0, 0, 0, 0), (0, 0, 0, 0, 20)).lately is None


def test_a_terminal_with_too_few_answers_shows_no_figure() -> None:
    page = page_of(unit_of("Årsta", [cell(TODAY, 1, 0, 0, 0, 3)], [], TODAY))
    assert re.findall(r'class="lead[^"]*">([^<]*)<', page) == ["Too few answers"] * 3 + ["–"]
    assert "75" not in page.split("<main")[1].split("</dl>")[0]


def test_a_terminal_wholly_below_all_deliveries_is_said_to_be() -> None:
    page = page_of(unit_of("Årsta", [cell(TODAY, 40, 10, 0, 20, 130)], [], TODAY))
    assert 'class="lead below">75.0\u00a0%' in page
    assert "68.6–80.5, n 200. Below all deliveries, 88.0" in page
    same = page_of(unit_of("Årsta", [cell(TODAY, 2, 1, 0, 10, 15)], [], TODAY))
    assert 'class="lead">89\u00a0%' in same
    assert "No difference from all deliveries, 88.0" in same


@pytest.mark.parametrize(
    ("effect", "sure", "said"),
    [
        ([0.1, 0.02, 0.18], True, "Satisfied +10.0 points beyond other terminals (+2.0 to +18.0)"),
        ([-0.01, -0.08, 0.06], False, "Satisfied −1.0 points beyond other terminals (−8.0 to +6.0): no sure effect"),
        (None, False, "Too few answers to compare yet"),
    ],
)
def test_a_terminal_tells_what_its_changes_did_beyond_those_of_others(
    effect: list[float] | None, sure: bool, said: str
) -> None:
    marked = {"what": "lockers", "starts_on": "2026-09-20", "effect": effect, "sure": sure}
    unit = unit_of("Årsta", [cell(TODAY, 2, 1, 0, 10, 15)], [], TODAY)
    page = render("terminal.html", **terminal_page.told(unit, None, [], [marked], NOW)).decode()
    assert f'lockers, from 20 September<br><span class="quiet">{said}</span>' in page


def test_the_links_of_a_terminal_carry_its_name_safely() -> None:
    page = page_of(unit_of('Å/b "<', [cell(TODAY, 2, 1, 0, 10, 15)], [], TODAY))
    assert 'href="/praise?terminal=%C3%85%2Fb%20%22%3C"' in page
    assert "<h1>Å/b &#34;&lt;</h1>" in page


def test_methods_of_a_terminal_hide_where_one_could_be_worked_out() -> None:
    methods = [
        cell(TODAY, 0, 0, 0, 0, n, value=f"Årsta × {m}") for m, n in (("home_day", 90), ("home_box", 3), ("other", 7))
    ]
    unit = unit_of("Årsta", [cell(TODAY, 0, 0, 0, 0, 100)], methods, TODAY)
    assert {p.name: p.satisfied is not None for p in unit.methods} == {
        "home_day": True,
        "home_box": False,
        "other": False,
    }


def test_a_driver_hears_of_praise_at_once_and_of_nothing_to_subtract_it_from() -> None:
    cells = [cell(TODAY, 5, 0, 7, 2, 3), cell(TODAY - timedelta(days=1), 0, 0, 0, 0, 4)]
    assert praise_of(cells, TODAY) == (5, 9)
    page = driver_page.told("driver-05", (5, 9), [], NOW).decode()
    assert re.findall(r'class="lead">(\d+)<', page) == ["5", "9"]
    assert not re.search(r"\b(17|21|12)\b", page.split("<main")[1])


@pytest.mark.parametrize(("answers", "days", "shown"), [(10, 5, True), (9, 5, False), (10, 4, False), (40, 1, False)])
def test_a_driver_reads_of_the_dissatisfied_only_in_a_closed_month_of_enough_answers_and_days(
    answers: int, days: int, shown: bool
) -> None:
    scores = [2, 0, 0, 0, answers - 2]
    spread = [cell(date(2026, 9, 1 + d), 0, 0, 0, 0, 1) for d in range(days)]
    [month] = months_of({SEPTEMBER: scores}, spread)
    assert (month.satisfied is not None, month.dissatisfied is not None) == (shown, shown)
    page = driver_page.told("driver-05", (0, 0), [month], NOW).decode()
    assert ("Too few answers or days" in page) is not shown


def test_a_month_that_is_not_closed_is_not_there() -> None:
    assert months_of({}, [cell(date(2026, 9, 1 + d), 9, 0, 0, 0, 9) for d in range(20)]) == []


def test_a_driver_is_known_by_the_pseudonym_and_may_read_nothing_else() -> None:
    roles = roles_of({"groups": ["kvittera:driver:driver-05"]}, "groups", "kvittera")
    driver = Member("s-1", "Dag Förare", roles)
    assert driver.driver == "driver-05"
    assert not driver.may(Role.READER)
    assert not driver.may(Role.READER, "driver-05")
    assert Member("s-2", "Lena Ledare", {EVERYWHERE: Role.LEAD}).driver is None
    assert Member("s-3", "Alla", {EVERYWHERE: Role.DRIVER}).driver is None
