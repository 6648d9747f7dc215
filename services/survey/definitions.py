"""Survey definitions: what is asked at each touchpoint, one TOML file per version; docs/surveys.md tells how.

A definition never changes once answers have been given to it: another wording, order or question is a new
version in a new file, so that every answer keeps the meaning it was given with.
"""

import importlib.resources
import re
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, TypeVar

from schemas.delivery import DeliveryException, Touchpoint
from schemas.response import RatedParty
from services.chassis.failures import MustStop

FIVE_STEPS: Final = ("courtesy", "time_kept", "expectation", "ease", "contactability")
"""Questions answered with 1 to 5; 5 is best."""
RECOMMEND: Final = "recommend"
"""The question of the net promoter score, answered with 0 to 10 (D4)."""
INDEX: Final = ("satisfaction", "expectancy", "ideal")
"""The three questions of the index of ACSI form, answered with 1 to 10 (D4). All three or none."""
REASONS: Final = ("on_time", "right_place", "condition", "courtesy", "information", "other")
"""Every reason chip there is; a definition offers some of them."""
SCALES: Final = ("smiley5.v1",)
"""What the faces are and mean: `smiley5.v1` is 1 very dissatisfied to 5 very satisfied."""
_MIDDLE = 3
_ID = re.compile(r"([a-z][a-z_]{0,40})\.v([1-9][0-9]{0,3})")
_LINE = re.compile(r"at line (\d+)")
E = TypeVar("E", bound=StrEnum)


class Occasion(StrEnum):
    """What a definition is for: a touchpoint, or a delivery that arrived damaged."""

    HOME = Touchpoint.HOME.value
    SHOP_PICKUP = Touchpoint.SHOP_PICKUP.value
    LOCKER = Touchpoint.LOCKER.value
    RETURN = Touchpoint.RETURN.value
    ENQUIRY = Touchpoint.ENQUIRY.value
    DAMAGED = DeliveryException.DAMAGED.value


@dataclass(frozen=True, slots=True)
class FollowUp:
    """A further question: the form field is `q.<name>`, the answer a whole number from `smallest` to `largest`."""

    name: str
    largest: int
    smallest: int = 1


FOLLOW_UPS: Final[Mapping[str, FollowUp]] = MappingProxyType(
    {
        **{name: FollowUp(name, 5) for name in FIVE_STEPS},
        RECOMMEND: FollowUp(RECOMMEND, 10, 0),
        **{name: FollowUp(name, 10) for name in INDEX},
    }
)
"""Every further question there is, by its name."""


@dataclass(frozen=True, slots=True)
class Definition:
    """One version of one survey.

    Attributes:
        id: such as `home.v1`; goes with every answer.
        occasion: what it is for.
        rated: whom the answer is about.
        scale: the faces and their fixed meaning.
        follow_ups: in the order in which they are asked.
        low: reason chips for the scores 1 and 2.
        middle: reason chips for the score 3.
        high: reason chips for the scores 4 and 5.
        comment: whether there is a box for a comment.
    """

    id: str
    occasion: Occasion
    rated: RatedParty
    scale: str
    follow_ups: tuple[FollowUp, ...]
    low: tuple[str, ...]
    middle: tuple[str, ...]
    high: tuple[str, ...]
    comment: bool

    @property
    def version(self) -> int:
        """The number after `.v`."""
        return int(self.id.rpartition(".v")[2])

    def reasons_for(self, score: int) -> tuple[str, ...]:
        """The reason chips that go with a score, in the order in which they are shown."""
        if score == _MIDDLE:
            return self.middle
        return self.low if score < _MIDDLE else self.high


class Definitions:
    """All versions that this installation knows. Choosing never fails: some survey always fits."""

    def __init__(self, known: Iterable[Definition]) -> None:
        self._known = {d.id: d for d in known}
        newest: dict[Occasion, Definition] = {}
        for definition in sorted(self._known.values(), key=lambda d: d.version):
            newest[definition.occasion] = definition
        self._newest = newest

    def __iter__(self) -> Iterator[Definition]:
        """All of them, every version."""
        return iter(self._known.values())

    def get(self, survey: str | None) -> Definition | None:
        """The definition of an id, or None where there is none, as with the general `delivery.v1`."""
        return self._known.get(survey or "")

    def choose(self, survey: str | None, touchpoint: str, exceptions: Collection[str] = ()) -> Definition:
        """What to ask: the survey named if it is one of ours, else the newest that fits the delivery.

        An invitation for the general survey `delivery.v1` leaves the choice to the delivery's own facts.
        """
        if (named := self.get(survey)) is not None:
            return named
        if DeliveryException.DAMAGED in exceptions:
            return self._newest[Occasion.DAMAGED]
        return self._newest.get(_occasion(touchpoint), self._newest[Occasion.HOME])

    @classmethod
    def read(cls, files: Mapping[str, str]) -> "Definitions":
        """From file names to texts, as in `services/survey/definitions/`.

        Raises:
            MustStop: names the file, the line and the rule that is broken.
        """
        definitions = [read_definition(name, text) for name, text in sorted(files.items())]
        missing = set(Occasion) - {d.occasion for d in definitions}
        if missing:
            raise MustStop(f"no survey definition for {', '.join(sorted(missing))}: add a file for each")
        return cls(definitions)


def load_definitions() -> Definitions:
    """Read the ones that come with the service; call where it is put together.

    Raises:
        MustStop: names the file, the line and the rule that is broken.
    """
    folder = importlib.resources.files(__package__) / "definitions"
    return Definitions.read({f.name: f.read_text("utf-8") for f in folder.iterdir() if f.name.endswith(".toml")})


def _occasion(touchpoint: str) -> Occasion:
    try:
        return Occasion(touchpoint)
    except ValueError:
        return Occasion.HOME


def read_definition(file: str, text: str) -> Definition:
    """One definition from the text of its file.

    Raises:
        MustStop: names the file, the line and the rule that is broken.
    """
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = _LINE.search(str(error))
        raise MustStop(f"{file}:{found[1] if found else 1}: {error}") from None
    return _Reading(file, text, values).definition()


@dataclass(frozen=True, slots=True)
class _Reading:
    """A file being read: every rule that it breaks is told with its line."""

    file: str
    text: str
    values: Mapping[str, Any]

    def definition(self) -> Definition:
        self._known_keys("", self.values, ("id", "for", "rated", "scale", "follow_ups", "index", "comment", "reasons"))
        reasons = self._take("reasons", self.values, dict, "a table")
        self._known_keys("reasons.", reasons, ("low", "middle", "high"))
        follow_ups = self._names("follow_ups", self.values, (*FIVE_STEPS, RECOMMEND))
        index = self._take("index", self.values, bool, "true or false")
        return Definition(
            id=self._id(),
            occasion=self._one_of("for", Occasion),
            rated=self._one_of("rated", RatedParty),
            scale=self._scale(),
            follow_ups=tuple(FOLLOW_UPS[name] for name in (*follow_ups, *(INDEX if index else ()))),
            low=self._names("reasons.low", reasons, REASONS),
            middle=self._names("reasons.middle", reasons, REASONS),
            high=self._names("reasons.high", reasons, REASONS),
            comment=self._take("comment", self.values, bool, "true or false"),
        )

    def _id(self) -> str:
        name = str(self._take("id", self.values, str, "a text"))
        if not _ID.fullmatch(name):
            raise self._wrong("id", "must look like home.v1")
        if self.file.rpartition("/")[2] != f"{name}.toml":
            raise self._wrong("id", f"must be the file's name, or the file be called {name}.toml")
        return name

    def _scale(self) -> str:
        scale = str(self._take("scale", self.values, str, "a text"))
        if scale not in SCALES:
            raise self._wrong("scale", f"must be one of {', '.join(SCALES)}", scale)
        return scale

    def _one_of(self, key: str, choices: type[E]) -> E:
        value = self._take(key, self.values, str, "a text")
        try:
            return choices(value)
        except ValueError:
            raise self._wrong(key, f"must be one of {', '.join(choices)}", value) from None

    def _names(self, key: str, table: Mapping[str, Any], known: Sequence[str]) -> tuple[str, ...]:
        names = self._take(key, table, list, "a list of names")
        for name in names:
            if name not in known:
                raise self._wrong(key, f"has {name!r}, which is none of {', '.join(known)}", name)
        if len(set(names)) != len(names):
            raise self._wrong(key, "names something twice")
        return tuple(names)

    def _take(self, key: str, table: Mapping[str, Any], kind: type, what: str) -> Any:
        name = key.rpartition(".")[2]
        if name not in table:
            raise self._wrong(key, "is missing")
        if not isinstance(table[name], kind):
            raise self._wrong(key, f"must be {what}")
        return table[name]

    def _known_keys(self, prefix: str, table: Mapping[str, Any], known: Sequence[str]) -> None:
        for name in table:
            if name not in known:
                raise self._wrong(f"{prefix}{name}", f"is none of {', '.join(known)}")

    def _wrong(self, key: str, rule: str, value: object = None) -> MustStop:
        return MustStop(f"{self.file}:{self._line(key, value)}: {key} {rule}")

    def _line(self, key: str, value: object) -> int:
        """Where a key stands, or a value of it: the first line of its own; a missing key is told at line 1."""
        table, _, name = key.rpartition(".")
        inside, start = "", None
        for number, line in enumerate(self.text.splitlines(), 1):
            if header := re.fullmatch(r"\s*\[\s*([\w.]+)\s*\]\s*(?:#.*)?", line):
                inside = header[1]
                if name == inside and not table:
                    return number
            elif inside == table and re.match(rf"""\s*["']?{re.escape(name)}["']?\s*=""", line):
                start = number
            if start is not None and (value is None or re.search(rf"""["']{re.escape(str(value))}["']""", line)):
                return number
        return start or 1
