"""The comment search for staff as a pure page, and the fragment that the dashboard shows."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from services.chassis.staff import Member
from services.chassis.web import SCORES, face, inline_style, staff_environment, staff_nav
from services.survey.comments.search import Hit
from services.survey.praise.queue_page import MASK_WORDS, REASONS
from services.survey.staff.cursors import written

_PAGES: Final = Path(__file__).parent / "pages"


class CommentsPage:
    """Renders the search. Build one at start; `headers` go with each page."""

    def __init__(self) -> None:
        environment = staff_environment(
            _PAGES,
            skip_label="Skip to the comments",
            faces={score: face(score, 24) for score in SCORES},
            mask_words=MASK_WORDS,
            reason_words=REASONS,
            nav=staff_nav("/comments"),
        )
        self.headers = inline_style(environment, _PAGES / "comments.css")
        self._page = environment.get_template("comments.html")
        self._latest = environment.get_template("latest.html")

    def render(
        self,
        member: Member,
        form_secret: str,
        hits: Sequence[Hit],
        *,
        more: bool,
        asked: dict[str, Any],
        notice: str = "",
    ) -> bytes:
        """The search with what was asked and what was found."""
        last = hits[-1] if hits and more else None
        return self._page.render(
            initials=member.initials,
            form_secret=form_secret,
            hits=hits,
            older="" if last is None else written(last.cursor),
            asked=asked,
            notice=notice,
        ).encode()

    def render_latest(self, hits: Sequence[Hit]) -> bytes:
        """The newest comments as a list to stand in another page."""
        return self._latest.render(hits=hits).encode()
