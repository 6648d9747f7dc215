"""What the recipient's pages show: plain facts, filled in by the service that knows them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from services.survey.definitions import Definition, FollowUp


@dataclass(frozen=True, slots=True)
class HumanRoute:
    """Where a recipient reaches a person: `hours` is shown after the word for weekdays, as in "8–18"."""

    phone: str
    hours: str
    email: str
    privacy_url: str | None = None

    @property
    def dialled(self) -> str:
        """The phone number as a link dials it."""
        return re.sub(r"[^\d+]", "", self.phone)


@dataclass(frozen=True, slots=True)
class Site:
    """What is the same on every page of one installation.

    `carrier` heads the pages that must not tell whether a link is known; `demo` marks all pages as made up.
    """

    carrier: str
    human: HumanRoute
    demo: bool = False
    edit_days: int = 14
    contact_days: int = 90


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipientPage:
    """What every page about one delivery shows.

    `token` is the link's secret, `nonce` guards the POST, `place` is the pick-up point or locker by name.
    """

    token: str
    nonce: str
    language: str
    definition: Definition
    carrier: str
    merchant_name: str | None
    place: str | None = None
    method: str
    occurred_at: datetime
    zone: str
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionPage(RecipientPage):
    """The question. `preselected` comes from `?s=4` and marks a face; nothing is saved by it."""

    preselected: int | None = None


@dataclass(frozen=True, slots=True)
class Contact:
    """The part that asks for a contact wish. Name and address are only filled when a save failed.

    `unreachable` says that it failed because the address is neither a phone number nor an e-mail address.
    """

    wanted: bool = False
    saved: bool = False
    name_draft: str = ""
    address_draft: str = ""
    unreachable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedPage(RecipientPage):
    """The page after the tap. `comment_draft` is only filled when a save failed, never from the database.

    `follow_ups` are the questions to ask, `followed` the answers given so far; without `contact` none is offered.
    """

    score: int
    revision: int
    reasons: tuple[str, ...] = ()
    follow_ups: tuple[FollowUp, ...] = ()
    followed: Mapping[str, int] = field(default_factory=dict)
    comment_saved: bool = False
    contact: Contact | None = None
    comment_draft: str = ""


@dataclass(frozen=True, slots=True)
class CaseNotice:
    """The follow-up case as the recipient sees it: who reads it, and by when.

    `contact_promised` is true only when the person left a way to be reached.
    """

    number: str
    reader: str
    due_at: datetime
    contact_promised: bool


@dataclass(frozen=True, slots=True)
class Preferences:
    """How often and through which channel the person may be asked; one of `answers.preferences`."""

    frequency: str | None = None
    channel: str | None = None


@dataclass(frozen=True, slots=True)
class ReviewLink:
    """The public review site; it must not depend on the score."""

    site: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DonePage(RecipientPage):
    """The page after "Skicka": what is stored, until when it can change, and what happens next."""

    score: int
    revision: int
    editable_until: datetime
    reasons: tuple[str, ...] = ()
    comment_saved: bool = False
    case: CaseNotice | None = None
    preferences: Preferences | None = None
    preferences_saved: bool = False
    review: ReviewLink | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContestedPage(RecipientPage):
    """The page after "I did not get the parcel": no score, no reminders. It can be taken back if the parcel came.

    `wish_saved` says that there is a contact wish, which can be taken back too.
    """

    comment_saved: bool = False
    wish_saved: bool = False
    can_withdraw: bool = False
    case: CaseNotice | None = None
    review: ReviewLink | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedPage(RecipientPage):
    """The page when the answer can no longer change; the person's own score stands there read-only."""

    score: int | None = None
