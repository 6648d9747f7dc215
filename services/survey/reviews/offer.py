"""Whether and where to offer a public review (guarantee 9, D3). Pure, and blind to what the recipient answered.

The offer is a function of the survey version, the merchant's policy and a sampling draw. No function here takes a
score, a comment or an answer, and none is imported: choosing whom to ask for public praise by how content they
are is what review sites forbid and what makes their numbers worthless.
"""

import base64
import hashlib
import hmac
import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Formatter
from typing import Annotated, Literal, NewType
from urllib.parse import quote

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from services.chassis.failures import MustStop
from services.chassis.sealing import Seal
from services.chassis.wrong_fields import wrong_fields
from services.survey.recipient.page_models import ReviewLink

Draw = NewType("Draw", float)
"""A number from 0 up to 1 that stands for one invitation, always the same."""
_PLACEHOLDERS = frozenset({"reference", "language"})
_KEY_BYTES = 32


class _Policy(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    site: Annotated[str, Field(min_length=1, max_length=60)]
    """The review site as the page names it."""
    rate: Annotated[float, Field(ge=0, le=1)] = 1.0
    """The share of invitations with the offer; the draw decides, nothing else."""
    surveys: tuple[str, ...] = ()
    """Survey versions with the offer; none given: all."""


class PlainLink(_Policy):
    """One link for everybody; `{reference}` and `{language}` may stand in it."""

    kind: Literal["link"]
    url: Annotated[str, Field(pattern=r"^https://[^\s\"<>]+$", max_length=500)]

    @field_validator("url")
    @classmethod
    def _knows_its_placeholders(cls, url: str) -> str:
        try:
            named = {name for _, name, _, _ in Formatter().parse(url) if name is not None}
        except ValueError:
            named = {""}
        if not named <= _PLACEHOLDERS:
            raise ValueError(f"placeholders are {', '.join(sorted(_PLACEHOLDERS))}")
        return url


class Trustpilot(_Policy):
    """Trustpilot: a Business Generated Link where the recipient is known, else the site's plain page."""

    kind: Literal["trustpilot"]
    site: str = "Trustpilot"
    domain: Annotated[str, Field(pattern=r"^[a-z0-9.-]+\.[a-z]{2,}$")]
    encryption_key: SecretStr | None = None
    authentication_key: SecretStr | None = None

    @field_validator("encryption_key", "authentication_key")
    @classmethod
    def _has_32_bytes(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None and len(_decoded(key)) != _KEY_BYTES:
            raise ValueError("give 32 bytes in base64, as the portal shows them")
        return key


ReviewPolicy = Annotated[PlainLink | Trustpilot, Field(discriminator="kind")]


class ReviewPolicies(BaseModel):
    """The policy file: one policy for each merchant by id, and one for all others."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    default: ReviewPolicy | None = None
    merchants: Mapping[str, ReviewPolicy | Literal["none"]] = Field(default_factory=dict)

    def of(self, merchant_id: str | None) -> tuple[str, PlainLink | Trustpilot] | None:
        """The name and policy that hold for a merchant's parcels, or None where nothing is offered."""
        policy = self.merchants.get(merchant_id or "", self.default)
        name = merchant_id if merchant_id in self.merchants else "default"
        return None if policy is None or policy == "none" else (str(name), policy)


def read_policies(file: Path | None) -> ReviewPolicies:
    """The policies of a TOML file; without one nothing is offered.

    Raises:
        MustStop: names the wrong entry, and never shows a link or a key.
    """
    if file is None:
        return ReviewPolicies()
    try:
        return ReviewPolicies.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise MustStop(f"KVITTERA_REVIEW_POLICY_FILE cannot be read: {type(error).__name__}") from None
    except ValidationError as error:
        raise MustStop(f"KVITTERA_REVIEW_POLICY_FILE: {wrong_fields(error)}") from None


def sampling_draw(seal: Seal, invitation_id: str) -> Draw:
    """The invitation's draw: reproducible by whoever has the key, never thrown again (D7)."""
    return Draw(int.from_bytes(seal.pseudonym(f"review {invitation_id}")[:8]) / 2**64)


def is_offered(survey: str | None, policy: PlainLink | Trustpilot, draw: Draw) -> bool:
    """Whether to offer a review. These three and nothing else decide (guarantee 9)."""
    return (not policy.surveys or survey in policy.surveys) and draw < policy.rate


@dataclass(frozen=True, slots=True)
class Recipient:
    """Whom a Business Generated Link is made for."""

    email: str
    name: str


def review_link(
    policy: PlainLink | Trustpilot, *, reference: str, language: str, recipient: Recipient | None = None
) -> ReviewLink:
    """The link of an offer. `reference` is fresh for each delivery and tells nothing by itself."""
    if isinstance(policy, PlainLink):
        return ReviewLink(policy.site, policy.url.format(reference=quote(reference), language=quote(language)))
    if recipient is None or policy.encryption_key is None or policy.authentication_key is None:
        return ReviewLink(policy.site, f"https://www.trustpilot.com/evaluate/{policy.domain}")
    payload = {"email": recipient.email, "name": recipient.name, "ref": reference}
    sealed = business_generated(payload, _decoded(policy.encryption_key), _decoded(policy.authentication_key))
    return ReviewLink(
        policy.site, f"https://www.trustpilot.com/evaluate-bgl/{policy.domain}?p={quote(sealed, safe='')}"
    )


def business_generated(
    payload: Mapping[str, str] | bytes, encryption_key: bytes, authentication_key: bytes, iv: bytes | None = None
) -> str:
    """The `p` of a Business Generated Link, not yet percent-encoded: AES-256-CBC, then HMAC-SHA256 (D1)."""
    plain = payload if isinstance(payload, bytes) else json.dumps(dict(payload), separators=(",", ":")).encode()
    iv = os.urandom(16) if iv is None else iv
    padder = PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES(encryption_key), modes.CBC(iv)).encryptor()
    sealed = iv + encryptor.update(padder.update(plain) + padder.finalize()) + encryptor.finalize()
    return base64.b64encode(sealed + hmac.digest(authentication_key, sealed, hashlib.sha256)).decode()


def _decoded(key: SecretStr) -> bytes:
    try:
        return base64.b64decode(key.get_secret_value(), validate=True)
    except ValueError:
        return b""
