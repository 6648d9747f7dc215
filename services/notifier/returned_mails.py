"""Returned mails that were saved as files, taken into the receipts inbox."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from services.chassis.failures import Poison
from services.notifier.channels.mail import report_of_bounce
from services.notifier.channels.receipt_links import ReceiptLinks
from services.notifier.channels.reports import FORGED, Report
from services.notifier.receipts import ReceiptsInbox

NO_BOUNCE = "no_bounce"


def saved_mails(path: Path) -> Iterator[Path]:
    """The mails in a file, a folder of files or a Maildir."""
    if path.is_file():
        yield path
        return
    boxes = [path / name for name in ("new", "cur") if (path / name).is_dir()] or [path]
    for box in boxes:
        yield from sorted(f for f in box.iterdir() if f.is_file())


async def take_returned(
    inbox: ReceiptsInbox, links: ReceiptLinks, providers: Sequence[str], mails: Iterable[bytes]
) -> Counter[str]:
    """Take mails in; counts what they said: how far messages got, DUPLICATE, UNKNOWN, FORGED or NO_BOUNCE.

    Raises:
        Database errors: the rest was not taken. Taking all of them again is safe.
    """
    counts: Counter[str] = Counter()
    for mail in mails:
        try:
            provider, report = _read(mail, providers, links)
        except Poison as poison:
            counts[poison.reason] += 1
            continue
        counts[NO_BOUNCE if report is None else await inbox.take(provider, report)] += 1
    return counts


def _read(mail: bytes, providers: Sequence[str], links: ReceiptLinks) -> tuple[str, Report | None]:
    for provider in providers:
        try:
            return provider, report_of_bounce(mail, provider, links)
        except Poison:
            continue
    raise Poison(FORGED, "sent to no return path of ours")
