"""By what the public page weighs answers: the finest region that is told of nearly all deliveries."""

from datetime import UTC, datetime

import pytest

from services.aggregator.figures.months import month_number
from services.aggregator.quality.documents import document
from services.aggregator.quality.page import render
from services.aggregator.quality.publisher import Shelf
from services.aggregator.quality.revisions import Counted, Revision, month_of
from services.aggregator.quality.speech import words_of
from services.aggregator.quality.strata import CUTS, strata_of
from services.aggregator.statistics.response import Stratum
from tests.months import PUBLISHER, quality_in

SEPTEMBER = month_number("2026-09")
SHELF = Shelf([SEPTEMBER])


def part(good: int, bad: int, delivered: int) -> Counted:
    return Counted((bad, 0, 0, 0, good), delivered, delivered)


def month(**cuts: dict[str, Counted]) -> Revision:
    cells = {(cut.replace("__", "."), value): c for cut, of in cuts.items() for value, c in of.items()}
    cells["total", ""] = part(80, 20, 1000)
    return Revision(1, "closed", datetime(2026, 10, 10, tzinfo=UTC), cells)


TERMINALS = {"Årsta × home_day": part(60, 10, 500), "Luleå × home_day": part(20, 10, 500)}
POSTCODES = {"SE × 11 × home_day": part(50, 0, 100), "SE × 97 × home_day": part(30, 20, 800)}


def test_the_way_of_delivery_leads_so_that_small_strata_are_joined_within_it() -> None:
    found = strata_of(month(terminal__method=TERMINALS))
    assert found.cut == "terminal.method"
    assert found.parts == {("home_day", "Årsta"): Stratum(500, 70, 60), ("home_day", "Luleå"): Stratum(500, 30, 20)}


def test_deliveries_that_no_stratum_names_are_one_of_their_own() -> None:
    found = strata_of(month(terminal__method=TERMINALS, country__postcode_prefix__method=POSTCODES))
    assert found.cut == "country.postcode_prefix.method"
    assert found.parts == {
        ("home_day", "SE", "11"): Stratum(100, 50, 50),
        ("home_day", "SE", "97"): Stratum(800, 50, 30),
        ("",): Stratum(100, 0, 0),
    }


@pytest.mark.parametrize(("delivered", "cut"), [(800, "postcode_prefix.method"), (799, "terminal.method")])
def test_a_region_that_too_few_deliveries_tell_is_not_weighed_by(delivered: int, cut: str) -> None:
    named = {"11 × home_day": part(50, 0, 100), "97 × home_day": part(30, 20, delivered)}
    assert strata_of(month(terminal__method=TERMINALS, postcode_prefix__method=named)).cut == cut


def test_a_month_without_any_such_cut_is_not_weighed() -> None:
    assert strata_of(month()).parts == {}
    months = {SEPTEMBER: month_of(SEPTEMBER, [month()])}
    assert document(quality_in(SEPTEMBER, months), None)["weighted"] is None


def test_page_and_json_say_by_what_was_weighed() -> None:
    named = {"11 × home_day": part(50, 0, 100), "97 × home_day": part(30, 20, 900)}
    months = {SEPTEMBER: month_of(SEPTEMBER, [month(postcode_prefix__method=named)])}
    found = quality_in(SEPTEMBER, months)
    # 100 deliveries all satisfied, 900 with three of five
    assert "Weighted by way of delivery and postcode area it is 64.0\u00a0%" in render(found, PUBLISHER, SHELF, "en")
    assert "Viktad efter leveranssätt och postnummerområde blir den 64,0\u00a0%" in render(
        found, PUBLISHER, SHELF, "sv"
    )
    told = document(found, None)["weighted"]
    assert (told["share"], told["by"], told["strata"]) == (0.64, ["postcode_prefix", "method"], 2)


@pytest.mark.parametrize("language", ["sv", "en"])
def test_every_cut_that_can_be_weighed_by_has_words(language: str) -> None:
    assert {f"weighted_by.{cut}" for cut in CUTS} <= words_of(language).keys()
