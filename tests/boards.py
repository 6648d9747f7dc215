"""A whiteboard as in the picture, for tests."""

from datetime import datetime
from zoneinfo import ZoneInfo

from services.survey.praise.board import Board, BoardView, Quote
from services.survey.praise.scrub import scrub
from services.survey.praise.signs import sign_of


def quote(text: str, *, sign: int | None = 0, route: str | None = "14", method: str = "home_day") -> Quote:
    return Quote(scrub(text, "SE"), None if sign is None else sign_of(sign), route, method)


BOARD = Board("Årsta", "Årsta terminal", "sv")
SHOWN = BoardView(
    board=BOARD,
    local_now=datetime(2026, 10, 13, 14, 32, tzinfo=ZoneInfo("Europe/Stockholm")),
    today=37,
    passed_on=34,
    reason="courtesy",
    quotes=(
        quote("Ringde innan, väntade medan jag letade skor och bar in paketet åt min mamma. Så gör man."),
        quote("Kom på minuten. Alltid ett vänligt ord.", sign=2, route="7"),
        quote("Ställde paketet torrt, precis där jag bad om.", sign=1, route="22"),
        quote("Smidigt i luckan, de kände igen mig.", sign=3, route=None, method="service_point"),
    ),
)
