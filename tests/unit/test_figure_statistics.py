"""Every figure's formula against published vectors, or ones worked out by hand."""

import random
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.aggregator.statistics import bands, change, means, response, run_lengths, scores, shares, units
from services.aggregator.statistics.response import Key, Stratum
from services.aggregator.statistics.shares import share_of


@pytest.mark.parametrize(
    ("df", "quantile"),
    [
        (1, 12.70620473617),
        (2, 4.30265272975),
        (5, 2.57058183564),
        (10, 2.22813885199),
        (30, 2.04227245630),
        (100, 1.98397151852),
    ],
)
def test_students_quantiles_are_those_of_the_tables(df: int, quantile: float) -> None:
    assert means.t_quantile(0.975, df) == pytest.approx(quantile, abs=1e-8)
    assert means.t_quantile(0.025, df) == pytest.approx(-quantile, abs=1e-8)


def test_many_degrees_of_freedom_come_to_the_normal_distribution() -> None:
    assert means.t_quantile(0.975, 1e7) == pytest.approx(1.959964, abs=1e-6)
    assert means.t_quantile(0.5, 3) == 0


def test_a_mean_has_students_interval() -> None:
    # 1, 2, 3, 3, 4, 4, 4, 5, 5, 5: mean 3.6, squared distances sum to 16.4, t(9) = 2.262157
    # reach = 2.262157 * sqrt(16.4 / 9 / 10) = 0.965658
    assert means.mean_interval([1, 1, 2, 3, 3]) == pytest.approx((3.6, 2.634342, 4.565658), abs=1e-6)


def test_one_answer_has_no_spread() -> None:
    with pytest.raises(ValueError, match="two answers"):
        means.mean_interval([0, 0, 0, 0, 1])


@pytest.mark.parametrize(("mean", "faces", "index"), [(1, 4, 0), (2, 4, 33.33), (3, 4, 66.67), (4, 4, 100), (3, 5, 50)])
def test_faces_stand_in_equal_steps_from_nothing_to_a_hundred(mean: float, faces: int, index: float) -> None:
    assert means.smiley_index(mean, faces) == pytest.approx(index, abs=0.01)


def test_promoters_less_detractors_have_their_variance() -> None:
    # (0.5 + 0.2 - 0.09) / 100 = 0.0061; 1.96 * sqrt(0.0061) = 0.15308
    assert means.nps(50, 20, 100) == pytest.approx((30, 14.6922, 45.3078), abs=1e-4)
    assert means.nps_of([1, 0, 0, 0, 0, 0, 1, 3, 2, 2, 1])[0] == pytest.approx(10)
    with pytest.raises(ValueError, match="no promoters"):
        means.nps(60, 50, 100)


@pytest.mark.parametrize(
    ("bins", "top", "bottom"),
    [
        ([1, 2, 7], 7, 1),
        ([1, 2, 3, 4], 7, 3),
        ([1, 2, 3, 4, 5], 9, 3),
        ([1, 2, 3, 4, 5, 6], 11, 3),
        ([1, 2, 3, 4, 5, 6, 7], 13, 3),
        ([1] * 10, 3, 3),
    ],
)
def test_the_boxes_of_a_scale_are_those_of_the_table(bins: list[int], top: int, bottom: int) -> None:
    satisfied, dissatisfied = scores.satisfied(bins), scores.dissatisfied(bins)
    assert satisfied is not None
    assert dissatisfied is not None
    assert (satisfied.k, dissatisfied.k) == (top, bottom)
    with pytest.raises(ValueError, match="scale of 8"):
        scores.satisfied([1] * 8)


def test_effort_is_a_mean_and_a_share() -> None:
    mean, share = scores.ease([1, 0, 1, 2, 1, 2, 3])
    assert (mean, share.k, share.n) == (5.0, 6, 10)
    with pytest.raises(ValueError, match="1 to 7"):
        scores.ease([0] * 7)


def test_the_index_of_acsi_form_matches_both_published_examples() -> None:
    ohio = (0.3885, 0.3190, 0.2925)  # the weights that the State of Ohio published (D4)
    assert scores.acsi_form_index(8, 7, 7) == pytest.approx(70.37, abs=0.005)
    assert scores.acsi_form_index(8, 7, 7, ohio) == pytest.approx(70.98, abs=0.005)
    with pytest.raises(ValueError, match="sum to 1"):
        scores.acsi_form_index(8, 7, 7, (0.5, 0.5, 0.5))


def test_the_difference_of_two_shares_has_newcombes_published_interval() -> None:
    # Newcombe (1998), table II, example (a), method 10.
    assert shares.difference((56, 70), (48, 80)) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)
    assert shares.difference((48, 80), (56, 70)) == pytest.approx((-0.2, -0.3339, -0.0524), abs=5e-5)


@given(st.lists(st.lists(st.integers(0, 10_000), min_size=5, max_size=5), min_size=1, max_size=20))
def test_many_cells_at_once_get_what_each_gets_alone(cells: list[list[int]]) -> None:
    table = np.array(cells, np.int64)
    top, bottom = scores.shares_of_faces(table)
    for i, bins in enumerate(cells):
        if not sum(bins):
            assert np.isnan(top[i]).all()
            continue
        for found, alone in ((top[i], scores.satisfied(bins)), (bottom[i], scores.dissatisfied(bins))):
            assert alone is not None
            assert tuple(found) == pytest.approx((alone.share, alone.low, alone.high), abs=1e-12)


def test_strata_weigh_as_many_as_were_delivered() -> None:
    # 800 * 0.9 + 200 * 0.5 of 1000; 100 * (800² / 40 + 200² / 60) / 1000² = 5/3
    weighted = response.post_stratified({("home",): Stratum(800, 40, 36), ("shop",): Stratum(200, 60, 30)})
    assert weighted is not None
    assert (weighted.share, weighted.design_effect) == pytest.approx((0.82, 5 / 3))
    # Wilson of 0.82 with 60 effective answers
    assert (weighted.low, weighted.high) == pytest.approx((0.7046, 0.8969), abs=5e-5)
    assert response.post_stratified({("home",): Stratum(5, 0, 0)}) is None


def test_a_stratum_with_few_answers_joins_the_one_it_shares_most_with() -> None:
    strata: dict[Key, Stratum] = {
        ("home", "north"): Stratum(10, 3, 1),
        ("home", "south"): Stratum(90, 30, 20),
        ("shop", "north"): Stratum(50, 12, 12),
        ("shop", "south"): Stratum(0, 0, 0),
    }
    assert response.collapsed(strata) == {
        ("home", "south"): Stratum(100, 33, 21),
        ("shop", "north"): Stratum(50, 12, 12),
    }


def joined_slowly(strata: dict[Key, Stratum], fewest: int) -> dict[Key, Stratum]:
    """As `collapsed` says it in words, looking at all that is left each time."""

    def alike(one: Key, other: Key) -> int:
        return next((i for i, (a, b) in enumerate(zip(one, other, strict=True)) if a != b), len(one))

    left = {key: s for key, s in strata.items() if s.deliveries > 0}
    while len(left) > 1:
        smallest = min(left, key=lambda key: (left[key].answers, key))
        if left[smallest].answers >= fewest:
            break
        part = left.pop(smallest)
        left[min(left, key=lambda key: (-alike(key, smallest), left[key].answers, key))] += part
    return left


@pytest.mark.parametrize("seed", range(40))
def test_many_strata_are_joined_as_if_each_was_compared_with_all_others(seed: int) -> None:
    lot = random.Random(seed)
    strata: dict[Key, Stratum] = {
        (f"way {lot.randrange(6)}", f"terminal {n}"): Stratum(lot.randrange(4) and 50, n_answers, n_answers // 2)
        for n in range(lot.randrange(1, 90))
        for n_answers in [lot.choice((0, 1, 2, 5, 9, 10, 40))]
    }
    assert response.collapsed(strata) == joined_slowly(strata, 10)


def test_the_bounds_hold_whatever_the_silent_think() -> None:
    # 30 % answered, 80 % of them satisfied: between 0.3 * 0.8 and that plus 0.7
    assert response.worst_case(24, 30, 100) == pytest.approx((0.24, 0.94))
    with pytest.raises(ValueError, match="bound nothing"):
        response.worst_case(5, 4, 10)


def test_both_response_rates_are_told() -> None:
    of_reached, of_eligible = response.response_rates(20, 80, 100)
    assert of_reached is not None
    assert of_eligible is not None
    assert (of_reached.share, of_eligible.share) == (0.25, 0.2)
    assert response.response_rates(0, 0, 0) == (None, None)


@pytest.mark.parametrize(
    ("k", "n", "eligible", "strata", "contrast", "reasons"),
    [
        (80, 100, 400, {}, None, []),
        (4, 4, 5, {}, None, ["too_few"]),
        (80, 100, 2001, {}, None, ["too_silent"]),
        (66, 100, 1000, {("h",): Stratum(800, 40, 36), ("s",): Stratum(200, 60, 30)}, None, ["weights_move_it"]),
        (90, 110, 1000, {("h",): Stratum(900, 10, 8), ("s",): Stratum(100, 100, 82)}, None, ["weights_uneven"]),
        (80, 100, 400, {}, (0.15, 0.05, 0.25), ["late_differ"]),
        (80, 100, 400, {}, (-0.15, -0.25, -0.05), ["late_differ"]),
        (80, 100, 400, {}, (0.15, -0.05, 0.35), []),
        (80, 100, 400, {}, (0.09, 0.05, 0.13), []),
    ],
)
def test_a_figure_too_biased_to_publish_says_why(
    k: int,
    n: int,
    eligible: int,
    strata: dict[tuple[str, ...], Stratum],
    contrast: tuple[float, float, float] | None,
    reasons: list[str],
) -> None:
    weighted = response.post_stratified(strata)
    found = response.reasons_not_to_publish(share_of(k, n), eligible, fewest=5, weighted=weighted, contrast=contrast)
    assert found == reasons


def test_early_and_late_answers_are_compared_where_there_are_both() -> None:
    assert response.early_late((56, 70), (48, 80)) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)
    assert response.early_late((56, 70), (0, 0)) is None


def test_units_that_do_not_differ_are_pulled_all_the_way_to_their_parent() -> None:
    prior = units.fitted([(8, 10)] * 5)
    assert prior is not None
    assert prior.a + prior.b == 50
    # (40 + 0.5) / 51 of the parent, and (10 + 50 * 0.794118) / (10 + 50) of a unit with 10 of 10
    assert prior.shrunk(10, 10) == pytest.approx(0.828431, abs=1e-6)


def test_units_that_differ_wholly_keep_their_own_share() -> None:
    prior = units.fitted([(100, 100), (0, 100)] * 10)
    assert prior is not None
    assert (prior.a, prior.b) == pytest.approx((0.5, 0.5))
    assert prior.shrunk(100, 100) == pytest.approx(100.5 / 101)
    assert units.fitted([(0, 0)]) is None


def test_a_fitted_strength_is_near_that_of_the_units_it_was_drawn_from() -> None:
    dice = np.random.default_rng(7)
    true = dice.beta(16, 4, 2000)
    drawn = dice.binomial(60, true)
    prior = units.fitted([(int(k), 60) for k in drawn])
    assert prior is not None
    assert prior.a / (prior.a + prior.b) == pytest.approx(0.8, abs=0.01)
    assert prior.a + prior.b == pytest.approx(20, rel=0.15)


def test_units_are_ordered_by_their_bounds_and_overlap_is_no_difference() -> None:
    # Luleå 450 of 500, Årsta 30 of 60, Kiruna 4 of 5
    names, counts = ["Luleå", "Årsta", "Kiruna"], ([450, 30, 4], [500, 60, 5])
    places = units.by_concern("terminal", names, shares.wilson_many(*counts))
    assert [names[i] for i in places.order] == ["Årsta", "Luleå", "Kiruna"]
    assert (places.surely_better, places.surely_worse) == ([0, 1, 0], [1, 0, 0])


def test_units_that_meet_at_one_point_are_no_different_and_equal_ones_stand_by_name() -> None:
    satisfied = np.array([[0.6, 0.5, 0.7], [0.8, 0.7, 0.9], [0.6, 0.5, 0.7]])
    places = units.by_concern("terminal", ["b", "c", "a"], satisfied)
    assert (places.order, places.surely_better, places.surely_worse) == ([2, 0, 1], [0, 0, 0], [0, 0, 0])


@pytest.mark.parametrize("cut", ["driver", "terminal.driver"])
def test_drivers_are_never_ranked(cut: str) -> None:
    with pytest.raises(ValueError, match="never ranked"):
        units.by_concern(cut, ["a"], shares.wilson_many([1], [2]))


def test_the_last_answers_are_whole_hours_from_the_newest() -> None:
    share = units.latest([(3, 4), (5, 5), (0, 9)], 6)
    assert share is not None
    assert (share.k, share.n) == (8, 9)
    assert units.latest([], 6) is None


def test_old_answers_fade() -> None:
    # weights 1 and 1/2: (8 + 1) / (10 + 5); effective 15² / (10 + 2.5) = 18 answers
    found = units.decayed([(0, 8, 10), (24, 2, 10)], 24)
    assert found is not None
    assert found[0] == pytest.approx(0.6)
    assert found[1:] == pytest.approx((0.3762, 0.7886), abs=5e-5)
    assert units.decayed([(0, 0, 0)], 24) is None


def examples(repository: Path) -> list[tuple[str, list[float]]]:
    """The example and its numbers from each row of the tables that have a column of examples."""
    text = (repository / "docs/figures.md").read_text(encoding="utf-8")
    tables = re.findall(r"\| example \|\n\|[-|]+\|\n((?:\|.*\n)+)", text)
    rows = [row for table in tables for row in table.splitlines()]
    found = [re.search(r"\| `([a-z_]+\.[^`]+)` = ([^|]+) \|$", row) for row in rows]
    assert [row for row, example in zip(rows, found, strict=True) if example is None] == []
    numbers = [(e[1], re.findall(r"−?-?\d+\.?\d*", e[2])) for e in found if e is not None]
    return [(code, [float(n) for n in wanted]) for code, wanted in numbers]


def test_every_example_in_the_document_comes_out_as_it_says(repository: Path) -> None:
    table = examples(repository)
    assert len(table) > 25
    modules = (bands, change, means, response, run_lengths, scores, shares, units)
    known = {m.__name__.rpartition(".")[2]: m for m in modules} | {"Stratum": Stratum}
    for code, numbers in table:
        value = eval(code, known)  # the document is ours
        values = sorted(value) if isinstance(value, set) else np.ravel(value).tolist()
        assert values == pytest.approx(numbers, abs=6e-5), code


def test_the_band_of_the_live_line_follows_the_answers_of_its_windows_and_of_what_is_usual() -> None:
    # 0.15² 0.09 / 20; then 0.85² of it and as much again
    first = bands.spread(0.0, 0.9, 20)
    assert first == pytest.approx(0.00010125)
    assert bands.spread(first, 0.9, 20) == pytest.approx(0.000174403125)
    assert bands.band(0.9, first, 500) == pytest.approx((0.85472, 0.94528), abs=5e-6)
    assert bands.band(0.99, 0.01, 30) == pytest.approx((0.7156, 1.0), abs=5e-5)
    assert bands.smoothed(0.8, 0.4) == pytest.approx(0.74)


def test_many_windows_alike_give_the_band_its_lasting_width() -> None:
    variance = 0.0
    for _ in range(200):
        variance = bands.spread(variance, 0.9, 20)
    # λ / (2 - λ) of p (1 - p) / n
    assert variance == pytest.approx(0.15 / 1.85 * 0.0045)
