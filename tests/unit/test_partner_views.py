"""Views of partners: what could be subtracted from another view, or from itself, is refused."""

from collections.abc import Sequence

import pytest

from services.aggregator.counting.cuts import load_cuts
from services.aggregator.partners.views import View, check_view
from services.chassis.failures import MustStop

CUTS = load_cuts(None)


def view(partner: str, merchants: Sequence[str] | None = ("Fjällbod",), cuts: tuple[str, ...] = ("method",)) -> View:
    return View(partner, "partner", tuple(merchants) if merchants else None, cuts, "month", "day", b"secret")


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        (view("fjallbod", ["B"]), "fjallbod is or was a partner already"),
        (view("again"), "Fjällbod: fjallbod has a view of it"),
        (view("other", ["B", "Fjällbod"]), "Fjällbod: fjallbod has a view of it"),
        (view("county", None), "town has a view of all merchants; two such views could be subtracted"),
        (
            view("both", ["B", "C"]),
            "town has a view of all merchants, .* B, C together: such a view is registered before",
        ),
        (view("county", None, cuts=("merchant",)), r"may not be cut by merchant \(merchant\)"),
        (view("b", ["B"], cuts=("terminal", "method")), "cells that cross"),
        (view("b", ["B"], cuts=("method", "method")), "cells that cross"),
        (view("b", ["B"], cuts=("attempt",)), "not counted by attempt"),
        (view("b", ["B"], cuts=("series",)), "no partner sees those"),
        (view("b", ["B"], cuts=("driver",)), "cut driver names single people"),
        (view("b", ["B"], cuts=("driver.route",)), "cut driver.route names single people"),
    ],
)
def test_a_view_that_could_be_subtracted_is_refused(wanted: View, why: str) -> None:
    with pytest.raises(MustStop, match=why):
        check_view(wanted, [view("fjallbod"), view("town", None)], CUTS)


@pytest.mark.parametrize(
    "wanted",
    [
        view("b", ["B"]),
        view("b", ["B"], cuts=("merchant", "merchant.method")),
        view("b", ["B"], cuts=()),
    ],
)
def test_a_view_of_other_merchants_from_coarse_to_fine_is_taken(wanted: View) -> None:
    check_view(wanted, [view("fjallbod"), view("town", None)], CUTS)


def test_a_view_of_several_merchants_may_be_registered_before_that_of_all() -> None:
    check_view(view("b", ["B", "C"], cuts=("merchant", "merchant.method")), [view("fjallbod")], CUTS)
    check_view(view("town", None), [view("fjallbod"), view("b", ["B", "C"])], CUTS)


def test_one_view_of_all_merchants_may_stand_beside_those_of_single_ones() -> None:
    check_view(view("town", None), [view("fjallbod")], CUTS)


def test_without_counting_by_merchant_nobody_can_be_a_partner() -> None:
    with pytest.raises(MustStop, match="not counted by merchant"):
        check_view(view("b", ["B"]), [], [c for c in CUTS if c.name == "method"])
