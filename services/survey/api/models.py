"""What programs send and get. Strict: no field more, no text for a number; what is wrong is told without its value."""

import uuid
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from schemas.contract import Instant, Language, Score, described
from services.survey.answers.responses import LONGEST_ADDRESS, LONGEST_COMMENT, LONGEST_NAME

Reason = Literal["on_time", "right_place", "condition", "courtesy", "information", "other"]
ZeroToTen = Annotated[int, Field(strict=True, ge=0, le=10)]
OneToTen = Annotated[int, Field(strict=True, ge=1, le=10)]


class Sent(BaseModel):
    """A body that a program sends."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        allow_inf_nan=False,
        json_schema_extra=described,
    )


class FollowUps(Sent):
    """Answers to further questions, as the survey definition asks them; 1 is worst."""

    courtesy: Score | None = None
    time_kept: Score | None = None
    expectation: Score | None = None
    ease: Score | None = None
    contactability: Score | None = None
    recommend: ZeroToTen | None = None
    satisfaction: OneToTen | None = None
    expectancy: OneToTen | None = None
    ideal: OneToTen | None = None


class ContactWish(Sent):
    """How to reach a recipient who asks for it. Kept sealed and apart from the answer; nobody gets it back."""

    consent: Literal["contact.v1"]
    """The words that the recipient agreed to beside the fields; docs/api.md has them."""
    address: Annotated[str, StringConstraints(min_length=3, max_length=LONGEST_ADDRESS)]
    """A phone number or an e-mail address, as the recipient wrote it."""
    name: Annotated[str, StringConstraints(max_length=LONGEST_NAME)] | None = None
    """The recipient's name, where it was given."""


class ResponseChange(Sent):
    """What the recipient says now. What is missing or null stays as it was."""

    score: Score | None = None
    """The face: 1 is very dissatisfied, 5 very satisfied."""
    reasons: Annotated[list[Reason], Field(max_length=20)] | None = None
    """The reason chips that are ticked now; an empty list unticks all."""
    comment: Annotated[str, StringConstraints(max_length=LONGEST_COMMENT)] | None = None
    """The recipient's own words. Control and invisible characters are dropped; nobody gets it back through the API."""
    follow_ups: FollowUps | None = None
    """Further questions that were answered now; the others stay."""
    contested: bool | None = None
    """True when the recipient says that the parcel never came; false takes it back."""
    wants_contact: bool | None = None
    """True, with `contact`, when the recipient asks to be contacted; false takes it back and erases `contact`."""
    contact: ContactWish | None = None
    """Only with `wants_contact` true."""
    language: Language | None = None
    """The language that the recipient was asked in."""


class NewResponse(ResponseChange):
    """The answer of a recipient who holds a link."""

    token: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{22}$")]
    """The last part of the recipient's link, 22 characters. Keep it out of logs."""


class Tap(Sent):
    """One tap at a kiosk."""

    score: Score
    """The face: 1 is very dissatisfied, 5 very satisfied."""
    language: Language | None = None
    """The language that the kiosk showed."""


class InboundMessage(Sent):
    """A text message that a person sent to our number."""

    sender: Annotated[str, StringConstraints(min_length=3, max_length=40)] = Field(alias="from")
    """The person's number, in international form."""
    to: Annotated[str, StringConstraints(max_length=40)]
    """Our number."""
    text: Annotated[str, StringConstraints(max_length=10_000)]
    """What the person wrote, all parts together."""
    received_at: Annotated[Instant, Field(strict=False)]
    """When the gateway got it."""
    reference: Annotated[str, StringConstraints(max_length=200)] | None = None
    """The gateway's own name for the message."""


class Response(BaseModel):
    """An answer as it stands. The comment's text is not part of it."""

    model_config = ConfigDict(json_schema_extra=described)

    id: uuid.UUID
    """The answer. A pseudonym."""
    revision: int
    """Counts the changes from 1. The same number is the `ETag`."""
    score: int | None
    """The face, 1 to 5; null when only something else was said."""
    reasons: list[str]
    """The reason chips that are ticked."""
    follow_ups: dict[str, int]
    """Further questions that were answered."""
    commented: bool
    """Whether there is a comment."""
    contested: bool
    """Whether the recipient said that the parcel never came."""
    wants_contact: bool
    """Whether the recipient asked to be contacted."""
    open: bool
    """Whether the answer can still change."""
    editable_until: datetime
    """When it is locked."""


class TapRecorded(BaseModel):
    """What became of a tap."""

    model_config = ConfigDict(json_schema_extra=described)

    id: uuid.UUID
    """The answer that the tap made, or corrected."""
    revision: int
    """1 for a new answer; more when a quick second tap corrected the first."""


class Accepted(BaseModel):
    """The message is taken. Whether anybody is known by that number is not told."""

    accepted: Literal[True] = True
    """Always true."""


class Wrong(BaseModel):
    """One rule that a body breaks."""

    model_config = ConfigDict(json_schema_extra=described)

    at: str
    """The field; `*` stands for a name that is none of ours."""
    rule: str
    """What is asked of it."""


class ProblemDocument(BaseModel):
    """What went wrong (RFC 9457). No value that was sent is repeated."""

    model_config = ConfigDict(json_schema_extra=described)

    type: Literal["about:blank"]
    """The status says it all."""
    title: str
    """What went wrong, in a few words."""
    status: int
    """The HTTP status."""
    detail: str | None = None
    """What to do about it."""
    errors: list[Wrong] | None = None
    """Every rule that the body breaks."""
