"""Drawings in SVG: where values stand on a scale, and that words in them are safe."""

from services.aggregator.figures.drawings import Scale, axis_of, interval, runs, svg, words
from services.aggregator.statistics import share_of


def test_a_gap_in_the_months_is_a_gap_in_the_line() -> None:
    shares = [share_of(80, 100), None, share_of(90, 100)]
    assert [[i for i, _ in run] for run in runs(shares)] == [[0], [2]]


def test_a_scale_maps_values_to_places_and_keeps_what_lies_outside_at_its_end() -> None:
    scale = Scale(0.8, 0.9, 100, 0)
    assert [scale.at(v) for v in (0.8, 0.85, 0.9, 0.95, 0.1)] == [100, 50, 0, 0, 100]


def test_an_axis_reaches_over_all_intervals_in_whole_steps() -> None:
    low, high = axis_of([share_of(8790, 10000), share_of(8400, 10000), None])
    assert (low, high) == (0.82, 0.92)
    assert axis_of([]) == (0.0, 1.0)
    assert axis_of([share_of(100, 100)]) == (0.9, 1.0)


def test_drawings_say_their_words_safely() -> None:
    drawn = svg(10, 10, [words("here", 1, 2, "<b>")], label='a "b"')
    assert "&lt;b&gt;" in drawn
    assert 'role="img" aria-label="a &#34;b&#34;"' in drawn
    assert 'aria-hidden="true"' in interval(share_of(8, 10), (0, 1))
