"""How long a provider that refuses for now asks us to wait."""

from datetime import UTC, datetime

import pytest

from services.notifier.channels.http_call import retry_after

NOON = datetime(2026, 10, 13, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, 0),
        ("", 0),
        ("17", 17),
        ("0.5", 0.5),
        ("-5", 0),
        ("86400", 3600),
        ("inf", 0),
        ("nan", 0),
        ("soon", 0),
        ("Tue, 13 Oct 2026 12:02:00 GMT", 120),
        ("Tue, 13 Oct 2026 14:02:00 +0200", 120),
        ("Tue, 13 Oct 2026 12:02:00 -0000", 120),
        ("Tue, 13 Oct 2026 11:00:00 GMT", 0),
        ("Wed, 14 Oct 2026 12:00:00 GMT", 3600),
    ],
)
def test_a_wait_is_asked_for_in_seconds_or_by_a_moment_and_lasts_an_hour_at_most(
    header: str | None, seconds: float
) -> None:
    assert retry_after(header, NOON) == seconds
