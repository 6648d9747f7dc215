"""The inbox as HTML."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment

from schemas.feedback import CaseTrigger
from services.chassis.staff import Member, Role
from services.chassis.web import face, page_headers, staff_environment, staff_nav
from services.survey.cases import words
from services.survey.cases.detail import Detail
from services.survey.cases.filters import TABS
from services.survey.cases.forms import RELABELLED_BECAUSE
from services.survey.cases.inbox import Looking, Row
from services.survey.cases.shown import Tabs

PAGES: Final = Path(__file__).parent / "pages"
# A form is posted with its own origin, not with `null`, so that it can be told from another site's.
HEADERS: Final = {**page_headers(same_origin=True), "Referrer-Policy": "same-origin"}


@dataclass(frozen=True, slots=True)
class Notice:
    """What went wrong with the last thing that was tried, and what was typed then.

    Attributes:
        picked: what was ticked in the list, `number:revision`; none where the step was not about the list.
    """

    text: str
    typed: dict[str, str]
    picked: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class InboxPage:
    """Renders the inbox."""

    environment: Environment

    @classmethod
    def load(cls, *, scope_note: str) -> "InboxPage":
        """Read the templates."""
        environment = staff_environment(
            PAGES,
            skip_label="Skip to the cases",
            scope_note=scope_note,
            face=face,
            causes=words.CAUSES,
            attributions=words.ATTRIBUTIONS,
            places=words.PLACES,
            natures=words.NATURES,
            parties=words.PARTIES,
            relabelled_because=RELABELLED_BECAUSE,
            triggers={t: w for t, w in words.TRIGGERS.items() if t is not CaseTrigger.STAFF},
        )
        return cls(environment)

    def inbox(
        self,
        looking: Looking,
        rows: Sequence[Row],
        detail: Detail | None,
        *,
        tabs: Tabs,
        desks: Sequence[str],
        owners: dict[str, str],
        form_secret: str,
        explicit: bool,
        notice: Notice | None = None,
    ) -> bytes:
        """The list, the chosen case and its work column; `explicit` when the address names the case."""
        member = looking.member
        return self._render(
            "cases.html",
            member,
            tabs,
            praise=tabs.praise,
            rows=rows,
            detail=detail,
            tab_links=_tabs(looking, tabs),
            filters=looking.filters,
            desks=desks,
            owners=owners,
            form_secret=form_secret,
            explicit=explicit,
            notice=notice,
            typed=notice.typed if notice else {},
            picked=(notice.picked if notice else None) or frozenset(),
            export=looking.filters.address(path="/cases/export.csv"),
            leads=member.may(Role.LEAD) and any(row.may_assign for row in rows),
            clock=f"{looking.now:%H:%M:%S} UTC",
            back=looking.filters.address(),
            here=looking.filters.address(detail.number if detail and explicit else ""),
        )

    def refusal(self, member: Member, title: str, text: str) -> bytes:
        """One calm page that says what cannot be shown, and why."""
        return self._render("cases_refusal.html", member, None, refusal_title=title, text=text)

    def _render(self, template: str, member: Member, tabs: Tabs | None, **values: Any) -> bytes:
        counts = {"/cases": tabs.open, "/praise": tabs.praise} if tabs else {}
        nav = staff_nav("/cases", counts)
        return self.environment.get_template(template).render(nav=nav, initials=member.initials, **values).encode()


def _tabs(looking: Looking, tabs: Tabs) -> list[tuple[str, str, int | None, bool]]:
    counts = {"open": tabs.open, "mine": tabs.mine, "contacted": tabs.contacted}
    filters = looking.filters
    return [(filters.on(t).address(), label, counts.get(t), t == filters.tab) for t, (label, _) in TABS.items()]
