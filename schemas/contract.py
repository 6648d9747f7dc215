"""What all contract models share: tolerant readers, closed published schemas, strict times and numbers."""

import ast
import inspect
import re
import textwrap
from datetime import UTC, datetime
from functools import cache
from itertools import pairwise
from typing import Annotated, Any
from zoneinfo import available_timezones

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
)

_RFC3339 = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})$"
_RFC3339_TEXT = re.compile(_RFC3339)
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_NOT_ZONES = frozenset({"Factory", "localtime"})
_FIRST_YEAR, _LAST_YEAR = 1970, 2261


def texts_below_fields(model: type[BaseModel]) -> dict[str, str]:
    """Return what stands below each field in the source of a model and of those that it comes from."""
    texts: dict[str, str] = {}
    for part in reversed(model.__mro__[: model.__mro__.index(BaseModel)]):
        (definition,) = ast.parse(textwrap.dedent(inspect.getsource(part))).body
        assert isinstance(definition, ast.ClassDef)
        for field, below in pairwise(definition.body):
            match field, below:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                    texts[name] = inspect.cleandoc(text)
    return texts


def described(schema: dict[str, Any], model: type[BaseModel]) -> None:
    """Describe each property by what stands below its field; as `json_schema_extra` of a model.

    Sources are read where a schema is written. `use_attribute_docstrings` reads them at each start, for 30 to 60 ms.
    """
    for name, text in texts_below_fields(model).items():
        schema["properties"][model.model_fields[name].alias or name].setdefault("description", text)


class Contract(BaseModel):
    """A message or a part of one. Readers ignore unknown fields; the published JSON Schema is closed."""

    model_config = ConfigDict(
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        allow_inf_nan=False,
        json_schema_extra=described,
        defer_build=True,  # a process uses few of these models
    )


def field_names() -> frozenset[str]:
    """Return the name of every field of every contract model: what an error message may safely repeat."""
    names: set[str] = set()
    waiting = Contract.__subclasses__()
    while waiting:
        model = waiting.pop()
        names.update(model.model_fields)
        waiting.extend(model.__subclasses__())
    return frozenset(names)


def without_controls(text: str) -> str:
    """Return `text`; raise ValueError when it holds a control character or a lone surrogate."""
    if _CONTROLS.search(text):
        raise ValueError("must not contain control characters or lone surrogates")
    return text


def _written_as_rfc3339(value: Any) -> Any:
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str) or not _RFC3339_TEXT.fullmatch(value):
        raise ValueError("must be an RFC 3339 text with an offset")
    return value


def _in_known_years(moment: datetime) -> datetime:
    """Keep to the years that nanoseconds since 1970 can count in 64 bits."""
    if _FIRST_YEAR < moment.year < _LAST_YEAR:
        return moment  # whatever its offset
    if not _FIRST_YEAR - 1 <= moment.year <= _LAST_YEAR + 1:
        raise ValueError("must lie in the years 1970 to 2261")
    if not _FIRST_YEAR <= moment.astimezone(UTC).year <= _LAST_YEAR:
        raise ValueError("must lie in the years 1970 to 2261")
    return moment


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones()) - _NOT_ZONES


def _known_zone(name: str) -> str:
    if name not in _zones():
        raise ValueError("must name a zone of the IANA time zone database")
    return name


Identifier = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.:\-]+$")]
"""An identifier chosen by its producer: 1 to 64 ASCII letters, digits and `_ . : -`."""

Clean = (
    AfterValidator(without_controls),
    Field(json_schema_extra={"pattern": r"^[^\u0000-\u001f\u007f-\u009f]*$"}),
)
"""For `Annotated[str, *Clean]`: text without control characters and lone surrogates."""

Name = Annotated[str, StringConstraints(min_length=1, max_length=120), *Clean]
"""A human-readable name of a place, route or company: 1 to 120 characters, no control characters."""

Instant = Annotated[
    AwareDatetime,
    BeforeValidator(_written_as_rfc3339),
    AfterValidator(_in_known_years),
    Field(json_schema_extra={"pattern": _RFC3339}),
]
"""A moment with its UTC offset, written as RFC 3339 text, in the years 1970 to 2261."""

Zone = Annotated[
    str, StringConstraints(max_length=64, pattern=r"^[A-Za-z][A-Za-z0-9_+/\-]*$"), AfterValidator(_known_zone)
]
"""The IANA name of a time zone, for example `Europe/Stockholm`."""

Country = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
"""An ISO 3166-1 alpha-2 country code in capitals."""

Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2}$")]
"""An ISO 639-1 language code in small letters."""

PostcodePrefix = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9]{1,4}$")]
"""The first one to four characters of a postcode, without spaces: coarse enough to name nobody."""

Flag = Annotated[bool, Field(strict=True)]
"""True or false; the texts and numbers that look like them are refused."""

Count = Annotated[int, Field(strict=True, ge=0, le=2**53 - 1)]
"""How many, from 0; below 2**53 so that readers with floating point keep it exact."""

Revision = Annotated[int, Field(strict=True, ge=1, le=2**53 - 1)]
"""The first is 1; a higher one replaces a lower one."""

Score = Annotated[int, Field(strict=True, ge=1, le=5)]
"""One of the five faces: 1 is very dissatisfied, 5 very satisfied."""
