"""How many lines a log takes: all in quiet times, in a flood the first of each second, and each is accounted for."""

from hypothesis import given
from hypothesis import strategies as st

from services.chassis.line_pace import LinePace

TURNS = st.lists(
    st.tuples(st.floats(min_value=0, max_value=3, allow_nan=False), st.integers(min_value=0, max_value=200)),
    max_size=60,
)


def test_in_quiet_times_every_line_is_written() -> None:
    pace = LinePace(50)
    assert [pace.take(1, second / 10) for second in range(100)] == [1] * 100
    assert pace.left_out == 0


def test_in_a_flood_the_first_of_a_second_are_written_and_the_rest_counted() -> None:
    pace = LinePace(50)
    assert [pace.take(30, 7.0), pace.take(30, 7.5), pace.take(60_000, 7.9)] == [30, 20, 0]
    assert pace.left_out == 60_010


def test_a_second_begins_with_its_first_line() -> None:
    pace = LinePace(2)
    assert [pace.take(3, at) for at in (10.9, 11.0, 11.8, 11.9, 12.8, 12.9)] == [2, 0, 0, 2, 0, 2]


def test_no_line_is_written_where_none_may_be() -> None:
    pace = LinePace(0)
    assert (pace.take(5, 1.0), pace.left_out) == (0, 5)


@given(most=st.integers(min_value=0, max_value=100), turns=TURNS)
def test_no_second_has_more_lines_than_it_may_and_each_is_written_or_counted(
    most: int, turns: list[tuple[float, int]]
) -> None:
    pace, now, written = LinePace(most), 100.0, list[tuple[float, int]]()
    for pause, wanted in turns:
        now += pause
        before = pace.left_out
        allowed = pace.take(wanted, now)
        assert allowed + (pace.left_out - before) == wanted
        written.append((now, allowed))
    for start, _ in written:
        # A second anywhere may hold the end of one of ours and the beginning of the next.
        assert sum(n for at, n in written if start <= at < start + 1) <= 2 * most
    assert sum(n for _, n in written) <= most * (int(now - written[0][0]) + 1 if written else 0)


@given(most=st.integers(min_value=1, max_value=100), turns=TURNS)
def test_who_stays_below_the_bound_loses_no_line(most: int, turns: list[tuple[float, int]]) -> None:
    pace = LinePace(most)
    assert [pace.take(min(wanted, most), 2.0 * n) for n, (_, wanted) in enumerate(turns)] == [
        min(wanted, most) for _, wanted in turns
    ]
