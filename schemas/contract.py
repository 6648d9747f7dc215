"""What all contract models share: tolerant readers, closed published schemas, strict times and names."""

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, StringConstraints


class Contract(BaseModel):
    """A message or a part of one. Readers ignore unknown fields; the published JSON Schema is closed."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True, use_attribute_docstrings=True)


def _clean(text: str) -> str:
    if "\x00" in text:
        raise ValueError("must not contain NUL")
    return text


Identifier = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.:\-]+$")]
"""An identifier chosen by its producer: 1 to 64 letters, digits and `_ . : -`."""

Name = Annotated[str, StringConstraints(min_length=1, max_length=120), AfterValidator(_clean)]
"""A human-readable name of a place, route or company: 1 to 120 characters, no NUL."""

Instant = AwareDatetime
"""A moment with its UTC offset (RFC 3339)."""

__all__ = ["Contract", "Identifier", "Instant", "Name", "datetime"]
