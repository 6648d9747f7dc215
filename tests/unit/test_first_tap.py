"""What the fast lane takes of what is posted: the plain tap, read as the application reads it, and nothing else."""

import asyncio
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from services.chassis.http_protocol import Whole
from services.chassis.traces import Traces
from services.survey.answers.handlers import Answers
from services.survey.answers.recorded import About, Outcome, Recorded
from services.survey.languages import LANGUAGES
from services.survey.recipient.first_tap import FirstTap, Tap, read_tap
from services.survey.recipient.forms import parse_form, read_answer

TOKEN = "abcdefghijklmnopqrstuv"
PATH = f"/r/{TOKEN}".encode()
BODY = b"nonce=Zm9v_-YmFyYmF6&lang=sv&score=4"
HEADERS = {
    "host": "x",
    "accept": "application/json",
    "content-type": "application/x-www-form-urlencoded;charset=UTF-8",
    "content-length": "36",
}


def headers(**changed: str | None) -> list[tuple[bytes, bytes]]:
    told = HEADERS | {name.replace("_", "-"): value for name, value in changed.items()}
    return [(name.encode(), value.encode()) for name, value in told.items() if value is not None]


def test_the_tap_of_the_page_s_script_is_taken() -> None:
    tap = read_tap(PATH, headers(idempotency_key="visit-1"), BODY)
    assert tap is not None
    assert (tap.token, tap.nonce, tap.key) == (TOKEN, "Zm9v_-YmFyYmF6", "visit-1")
    assert (tap.answer.score, tap.answer.language) == (4, "sv")


def test_the_empty_field_that_people_do_not_see_comes_with_the_page_s_form() -> None:
    tap = read_tap(PATH, headers(), BODY.replace(b"&score", b"&website=&score"))
    assert tap is not None
    assert tap.answer.score == 4


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"score=4",
        BODY.replace(b"4", b"6"),
        BODY.replace(b"sv", b"xx"),
        BODY + b"&score=4",
        BODY + b"&website=spam",
        BODY + b"&comment=hej",
        BODY + b"&part=details",
        BODY + b"&reasons=on_time",
        BODY.replace(b"=4", b"=%34"),
        BODY.replace(b"&", b";"),
        BODY + b"\n",
        BODY + b"&nonce=",
        BODY.replace(b"lang=sv&score=4", b"score=4&lang=sv"),
        BODY.replace(b"&score", b"&website=spam&score"),
    ],
)
def test_any_other_form_is_left_to_the_application(body: bytes) -> None:
    assert read_tap(PATH, headers(), body) is None


@pytest.mark.parametrize(
    "changed",
    [
        {"accept": "text/html"},
        {"accept": None},
        {"content_type": "application/json"},
        {"content_type": None},
        {"content_length": None},
        {"if_match": '"1"'},
        {"idempotency_key": "with space"},
        {"idempotency_key": ""},
        {"idempotency_key": "k" * 256},
    ],
)
def test_any_condition_or_other_kind_is_left_to_the_application(changed: dict[str, str | None]) -> None:
    assert read_tap(PATH, headers(**changed), BODY) is None


def test_a_header_given_twice_is_left_to_the_application() -> None:
    assert read_tap(PATH, [*headers(), (b"accept", b"text/html")], BODY) is None


@pytest.mark.parametrize("path", [b"/r/", PATH + b"x", PATH + b"?lang=sv", b"/r/%61" + PATH[4:], b"/x" + PATH])
def test_any_other_path_is_left_to_the_application(path: bytes) -> None:
    assert read_tap(path, headers(), BODY) is None


plain = st.tuples(
    st.tuples(st.just("nonce"), st.sampled_from(["Z", "Zm9v_-"])),
    st.tuples(st.just("lang"), st.sampled_from(sorted(LANGUAGES))),
    st.sampled_from([(), ("website", "")]),
    st.tuples(st.just("score"), st.sampled_from("12345")),
).map(lambda pairs: [pair for pair in pairs if pair])
"""The form of the page, as its script posts it."""
names = st.sampled_from(["nonce", "lang", "score", "website", "part", "reasons", "comment", "wants_contact", "q.ease"])
values = st.sampled_from(["", "1", "4", "5", "sv", "en", "on_time", "details", "Zm9v", "a+b", "%34", "7"])
put_in = st.lists(st.tuples(st.integers(0, 4), names, values), max_size=2)


def posted(pairs: list[tuple[str, str]]) -> bytes:
    return "&".join(f"{name}={value}" for name, value in pairs).encode()


def says_what_the_application_would_read(tap: Tap, body: bytes) -> bool:
    fields = parse_form(body)
    read = read_answer(fields, frozenset(LANGUAGES))
    return (tap.answer, [tap.nonce]) == (read, fields.get("nonce", [""])) and not fields.get("website", [""])[0]


@given(plain)
def test_every_plain_tap_is_taken_as_the_application_would_read_it(pairs: list[tuple[str, str]]) -> None:
    tap = read_tap(PATH, headers(), posted(pairs))
    assert tap is not None
    assert says_what_the_application_would_read(tap, posted(pairs))


@given(plain, put_in)
def test_what_is_taken_with_fields_put_in_says_what_the_application_would_read(
    pairs: list[tuple[str, str]], more: list[tuple[int, str, str]]
) -> None:
    for place, name, value in more:
        pairs.insert(place, (name, value))
    tap = read_tap(PATH, headers(), posted(pairs))
    assert tap is None or says_what_the_application_would_read(tap, posted(pairs))


class Store:
    """Answers whose fate the test decides."""

    def __init__(self) -> None:
        self.fate: asyncio.Future[Recorded] = asyncio.get_running_loop().create_future()
        self.kept = InMemorySpanExporter()
        self.traces = Traces("survey", self.kept)

    def record_for(self, *_: Any, **__: Any) -> asyncio.Future[Recorded]:
        return self.fate


async def told(store: Store) -> list[bytes | None]:
    heard: list[bytes | None] = []
    lane = FirstTap(cast("Answers", store), lambda _: "Zm9v_-YmFyYmF6").lane()
    assert lane.take(Whole(PATH, headers(), BODY), heard.append)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return heard


async def test_a_tap_whose_fate_is_not_known_yet_has_no_reply() -> None:
    assert await told(Store()) == []


async def test_a_tap_that_was_not_kept_is_handed_to_the_application() -> None:
    for outcome in (Outcome.UNKNOWN, Outcome.LOCKED, Outcome.REUSED):
        store = Store()
        store.fate.set_result(Recorded(outcome))
        assert await told(store) == [None]
    failed = Store()
    failed.fate.set_exception(OSError())
    assert await told(failed) == [None]


async def test_a_tap_that_was_kept_is_a_step_of_its_trace_and_one_that_was_not_is_the_applications() -> None:
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    about = About("D-1", f"00-{trace_id}-00f067aa0ba902b7-01")
    kept, locked = Store(), Store()
    kept.fate.set_result(Recorded(Outcome.KEPT, 1, about))
    locked.fate.set_result(Recorded(Outcome.LOCKED, None, about))
    assert [reply is None for store in (kept, locked) for reply in await told(store)] == [False, True]
    for store in (kept, locked):
        store.traces.close()
    [span] = kept.kept.get_finished_spans()
    assert (span.name, f"{span.context.trace_id:032x}") == ("survey: POST /r/{token}", trace_id)
    assert locked.kept.get_finished_spans() == ()


async def test_a_tap_with_another_page_s_nonce_is_left_to_the_application() -> None:
    lane = FirstTap(cast("Answers", Store()), lambda _: "another").lane()
    assert not lane.take(Whole(PATH, headers(), BODY), lambda _: None)
