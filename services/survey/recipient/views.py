"""From what is known about a link to the page that the recipient sees. No database, no clock."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from services.chassis.sealing import Seal
from services.survey.answers.preferences import CHANNELS, FREQUENCIES
from services.survey.answers.recorded import Page
from services.survey.definitions import Definition, Definitions
from services.survey.recipient.forms import REASONS, Fields, given_follow_ups
from services.survey.recipient.page_models import (
    CaseNotice,
    Contact,
    ContestedPage,
    DonePage,
    LockedPage,
    Preferences,
    QuestionPage,
    ReviewLink,
    SavedPage,
)
from services.survey.recipient.rendering import SurveyPages
from services.survey.recipient.suspicion import TRAP

_SCORES = frozenset({"1", "2", "3", "4", "5"})


def marked_face(text: str | None) -> int | None:
    """The face that a link such as `?s=4` marks."""
    return int(text) if text in _SCORES else None


def face_of_link(text: str | None) -> int | None:
    """The face that a link marks, the hidden link's own one included."""
    return TRAP if text == str(TRAP) else marked_face(text)


def first(fields: Fields, name: str) -> str:
    """The first value of a field, or nothing."""
    return fields.get(name, [""])[0]


def wants_done(query: Mapping[str, str]) -> bool:
    """Whether a link asks for the page after the details."""
    return query.get("done") == "1" and query.get("edit") != "1"


def tells_what_happens_next(page: Page, query: Mapping[str, str]) -> bool:
    """Whether the page has a place for the case that the answer has become."""
    return page.open and (page.contested or (page.score is not None and wants_done(query)))


@dataclass(frozen=True, slots=True)
class Views:
    """Picks and fills the page; `brand` stands where the invitation names none."""

    pages: SurveyPages
    definitions: Definitions
    seal: Seal
    brand: str

    def show(
        self,
        page: Page,
        token: str,
        language: str,
        query: Mapping[str, str],
        case: CaseNotice | None = None,
        review: ReviewLink | None = None,
    ) -> tuple[str, bytes]:
        """The page of a link as it stands, and the name of its state."""
        about = self._about(page, token, language)
        if not page.open:
            return "locked", self.pages.render_locked(LockedPage(**about, score=page.score))
        if page.contested:
            shown = ContestedPage(**about, comment_saved=page.commented, can_withdraw=True, case=case, review=review)
            return "contested", self.pages.render_contested(replace(shown, wish_saved=page.wants_contact))
        if page.score is None or page.revision is None:
            preselected = marked_face(query.get("s"))
            return "question", self.pages.render_question(QuestionPage(**about, preselected=preselected))
        if wants_done(query):
            done = self._done(page, about, case, review)
            return "done", self.pages.render_done(replace(done, preferences_saved=query.get("kept") == "preferences"))
        return "saved", self.pages.render_saved(self._saved(page, about))

    def _done(self, page: Page, about: dict[str, Any], case: CaseNotice | None, review: ReviewLink | None) -> DonePage:
        return DonePage(
            **about,
            **_stored(page),
            editable_until=page.expires_at,
            case=case,
            preferences=_preferences(page),
            review=review,
        )

    def _saved(self, page: Page, about: dict[str, Any]) -> SavedPage:
        definition: Definition = about["definition"]
        return SavedPage(
            **about,
            **_stored(page),
            follow_ups=definition.follow_ups,
            followed=page.follow_ups,
            contact=Contact(saved=page.wants_contact),
        )

    def not_saved(
        self,
        page: Page,
        token: str,
        language: str,
        fields: Fields,
        *,
        reason: str = "",
        case: CaseNotice | None = None,
        review: ReviewLink | None = None,
    ) -> bytes:
        """The page that the answer was posted from, with what was chosen and written, or why it cannot change.

        `reason` is that of the refusal; `case` and `review` stand on the page with the preferences.
        """
        about = self._about(page, token, language)
        if not page.open:
            return self.pages.render_locked(LockedPage(**about, score=page.score))
        part = first(fields, "part")
        if page.contested or (part == "preferences" and not page.named):
            return self.pages.render_unavailable(language)
        if part == "preferences" and page.score is not None:
            chosen = Preferences(_one_of(FREQUENCIES, fields, "frequency"), _one_of(CHANNELS, fields, "channel"))
            return self.pages.render_save_failed(replace(self._done(page, about, case, review), preferences=chosen))
        if part in {"details", "further"} and page.score is not None:
            return self.pages.render_save_failed(_with_drafts(self._saved(page, about), fields, reason))
        preselected = marked_face(first(fields, "score")) or page.score
        return self.pages.render_save_failed(QuestionPage(**about, preselected=preselected))

    def nonce(self, token: str) -> str:
        """What a form of this link carries, so that it can only come from our page."""
        return base64.urlsafe_b64encode(self.seal.pseudonym(f"page {token}")[:12]).decode()

    def _about(self, page: Page, token: str, language: str) -> dict[str, Any]:
        d = page.delivery
        return {
            "token": token,
            "nonce": self.nonce(token),
            "language": language,
            "definition": self.definitions.choose(page.survey, d.get("touchpoint", "home"), d.get("exceptions", ())),
            "place": d.get("service_point"),
            "carrier": page.brand or self.brand,
            "merchant_name": d.get("merchant_name"),
            "method": d["method"],
            "occurred_at": datetime.fromisoformat(d["occurred_at"]),
            "zone": d["zone"],
            "now": page.now,
        }


def _stored(page: Page) -> dict[str, Any]:
    return {
        "score": page.score,
        "revision": page.revision,
        "reasons": page.reasons,
        "comment_saved": page.commented,
    }


def _one_of(offered: Sequence[str], fields: Fields, name: str) -> str | None:
    chosen = first(fields, name)
    return chosen if chosen in offered else None


def _with_drafts(saved: SavedPage, fields: Fields, reason: str) -> SavedPage:
    """What was ticked and written, on the page that could not be saved."""
    contact = Contact(
        wanted=first(fields, "wants_contact") == "1",
        saved=saved.contact is not None and saved.contact.saved,
        name_draft=first(fields, "contact_name"),
        address_draft=first(fields, "contact_address"),
        unreachable=reason == "contact_address",
    )
    return replace(
        saved,
        reasons=tuple(r for r in fields.get("reasons", []) if r in REASONS),
        followed={q: a for q, a in saved.followed.items() if f"q.{q}" not in fields} | given_follow_ups(fields),
        comment_draft=first(fields, "comment"),
        contact=contact,
    )


def _preferences(page: Page) -> Preferences | None:
    """What the person said before, to be changed; None where the link leads to no person."""
    if not page.named:
        return None
    said = page.preference
    return Preferences(said.frequency, said.channel) if said else Preferences()
