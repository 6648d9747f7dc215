"""How far behind the counters are told to be: never 0 for longer than it is known."""

import pytest

from services.aggregator.counting.behind import Seen


@pytest.mark.parametrize(
    ("seen", "now", "behind"),
    [
        (Seen(1000), 1000, 0),
        (Seen(1000), 1030, 0),
        (Seen(1000), 1031, 31),
        (Seen(1000), 4600, 3600),
        (Seen(1000, oldest=940), 1000, 60),
        (Seen(1000, oldest=940), 1003, 63),
        (Seen(1000, oldest=940), 4600, 3660),
        (Seen(1000, oldest=1002), 1001, 0),
    ],
    ids=[
        "nothing waited just now",
        "nothing waited a moment ago",
        "nobody has looked for half a minute",
        "nobody has looked for an hour",
        "a record of a minute ago waits",
        "it grows older between two looks",
        "and where nobody looks any more",
        "a record from a clock that is ahead",
    ],
)
def test_a_nought_is_believed_for_half_a_minute_and_what_waits_grows_older_by_itself(
    seen: Seen, now: float, behind: float
) -> None:
    assert seen.behind(now) == behind
