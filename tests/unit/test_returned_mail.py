"""Mails that come back: which delivery status notifications count, and what they say of an address."""

from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.chassis.failures import Poison
from services.notifier.channels.bounces import read_bounce
from services.notifier.channels.mail import envelope_sender, report_of_bounce
from services.notifier.channels.reports import Progress
from tests.channel_kit import LINKS, REFERENCE
from tests.returned_mails import VERP, returned


@pytest.mark.parametrize(
    ("status", "hopeless"),
    [
        ("5.1.1", True),
        ("5.1.10", True),
        ("5.0.0", True),
        ("5.2.1 (mailbox disabled)", True),
        ("5.4.4", True),
        ("5.2.2", False),
        ("5.1.7", False),
        ("5.1.8", False),
        ("5.7.1", False),
        ("4.1.1", False),
        ("nonsense", False),
    ],
)
def test_a_returned_mail_did_not_arrive_and_some_addresses_are_hopeless(status: str, hopeless: bool) -> None:
    report = report_of_bounce(returned(status), "mail", LINKS)
    assert report is not None
    assert (report.reference, report.progress, report.hopeless) == (REFERENCE, Progress.UNDELIVERED, hopeless)


@pytest.mark.parametrize(
    ("action", "progress"),
    [("delayed", Progress.SENT), ("relayed", Progress.SENT), ("delivered", Progress.DELIVERED)],
)
def test_a_mail_that_is_late_or_arrived_is_not_undelivered(action: str, progress: Progress) -> None:
    report = report_of_bounce(returned("5.1.1" if action == "delayed" else "2.0.0", action), "mail", LINKS)
    assert report is not None
    assert (report.progress, report.reason, report.hopeless) == (progress, None, False)


@pytest.mark.parametrize("header", ["Delivered-To", "X-Original-To", "Envelope-To"])
def test_the_return_path_is_found_where_mail_servers_write_it(header: str) -> None:
    report = report_of_bounce(returned("5.1.1", header=header), "mail", LINKS)
    assert report is not None
    assert report.reference == REFERENCE


def test_a_notification_to_another_address_is_forged_and_another_mail_is_no_notification() -> None:
    right = envelope_sender(VERP, REFERENCE)
    for to in ("studs@nordposten.example", right.replace("+0198", "+0199"), right.replace("@", "0@")):
        with pytest.raises(Poison, match="forged"):
            report_of_bounce(returned("5.1.1", to=to), "mail", LINKS)
    with pytest.raises(Poison, match="forged"):
        report_of_bounce(returned("5.1.1"), "another_provider", LINKS)
    absence = EmailMessage()
    absence["To"] = right
    absence.set_content("Jag är ledig till måndag.")
    assert report_of_bounce(absence.as_bytes(), "mail", LINKS) is None


@given(st.binary(max_size=300), st.integers(0, 600))
def test_no_mail_breaks_the_reader(noise: bytes, cut: int) -> None:
    read_bounce(noise)
    whole = returned("5.1.1")
    read_bounce(whole[:cut] + noise + whole[cut:])
