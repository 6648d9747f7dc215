"""What a browser posts is cleaned or refused before anything of it is kept."""

import unicodedata
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.survey.answers.responses import Answer, Rejected, clean_comment, looks_like_token, token_hash
from services.survey.recipient.forms import parse_form, read_answer

LANGUAGES = frozenset({"sv", "en"})


def posted(*pairs: tuple[str, str]) -> Answer:
    return read_answer(parse_form(urlencode(pairs).encode()), LANGUAGES)


@pytest.mark.parametrize("score", [1, 2, 3, 4, 5])
def test_a_tap_gives_a_score_and_leaves_all_else_as_it_was(score: int) -> None:
    assert posted(("score", str(score))) == Answer(score=score, reasons=None, comment=None, contested=None)


@pytest.mark.parametrize(
    "score",
    [
        "0",
        "6",
        "-1",
        "5.0",
        "5.0000001",
        "true",
        " 4",
        "4 ",
        "+4",
        "４",
        "٤",
        "1e0",
        "NaN",
        "null",
        "",
        "[]",
        "05",
        str(2**63),
    ],
)
def test_nothing_but_the_five_faces_is_a_score(score: str) -> None:
    with pytest.raises(Rejected) as refused:
        posted(("score", score))
    assert refused.value.field == "score"


@pytest.mark.parametrize("name", ["score", "comment", "contested", "lang"])
def test_a_field_given_twice_is_refused(name: str) -> None:
    with pytest.raises(Rejected, match=f"{name}: is given more than once"):
        posted(("score", "4"), (name, "1"), (name, "1"))


def test_two_scores_are_refused_even_when_they_agree() -> None:
    with pytest.raises(Rejected, match="score: is given more than once"):
        posted(("score", "4"), ("score", "4"))


@pytest.mark.parametrize(
    "pairs",
    [
        [],
        [("comment", "")],
        [("comment", " \n\u202e ")],
        [("contested", "true")],
        [("lang", "sv")],
    ],
)
def test_an_answer_that_says_nothing_is_refused(pairs: list[tuple[str, str]]) -> None:
    with pytest.raises(Rejected, match="score: is missing"):
        posted(*pairs)


def test_the_details_form_unticks_what_is_not_ticked() -> None:
    assert posted(("part", "details"), ("comment", "")).reasons == ()
    assert posted(("part", "details"), ("reasons", "other"), ("reasons", "on_time")).reasons == ("on_time", "other")


def test_a_form_without_chips_unticks_nothing_and_may_be_empty() -> None:
    assert posted(("part", "further"), ("comment", "Hej")) == Answer(comment="Hej")
    assert posted(("part", "further"), ("comment", "")) == Answer()


def test_a_tap_does_not_untick_reasons() -> None:
    assert posted(("score", "4")).reasons is None


def test_a_reason_ticked_twice_is_ticked_once() -> None:
    assert posted(("reasons", "other"), ("reasons", "other")).reasons == ("other",)


@pytest.mark.parametrize("reason", ["", "On_time", "price", "on_time,other", "'; drop table response--"])
def test_only_offered_reasons_are_taken(reason: str) -> None:
    with pytest.raises(Rejected, match="reasons: must be among the ones offered"):
        posted(("score", "4"), ("reasons", reason))


def test_a_parcel_that_never_came_is_an_answer() -> None:
    assert posted(("contested", "1")) == Answer(contested=True)


def test_fields_that_are_not_asked_for_are_ignored() -> None:
    answer = posted(
        ("score", "4"),
        ("revision", "99"),
        ("counted", "true"),
        ("partner_id", "2"),
        ("response_id", ""),
        ("commented", "1"),
    )
    assert answer == Answer(score=4)


@pytest.mark.parametrize(("given_language", "kept"), [("sv", "sv"), ("xx", None), ("sv-SE", None), ("", None)])
def test_only_languages_that_have_pages_are_kept(given_language: str, kept: str | None) -> None:
    assert posted(("score", "4"), ("lang", given_language)).language == kept


@pytest.mark.parametrize(
    "body",
    [b"\xff\xfe", b"comment=\xff", b"comment=%ff", b"comment=%ed%a0%80", b"comment=\xc3\xa5", b"&".join([b"a=1"] * 41)],
)
def test_a_body_that_no_page_of_ours_makes_is_refused(body: bytes) -> None:
    with pytest.raises(Rejected, match="body: must be a form"):
        parse_form(body)


def test_blank_and_odd_forms_are_read_without_guessing() -> None:
    assert parse_form(b"") == {}
    assert parse_form(b"a&b=&=c&d=1=2") == {"a": [""], "b": [""], "": ["c"], "d": ["1=2"]}


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Bra!", "Bra!"),
        ("  Bra \r\n\r\n tack\t! ", "Bra \n\n tack !"),
        ("a\x00b\x1b[2Jc\x7f\x85", "ab[2Jc"),
        ("a\ud800b\udfff", "ab"),
        ("\u202egnol\u2066 a\u2069\ufeffb\u200b", "gnol ab"),
        ("\uffff\ufdd0a", "a"),
        ("e\u0301", "é"),
        ("e\u200b\u0301", "é"),
        ("👩\u200d👩\u200d👧\u200d👦 ❤\ufe0f 👍🏽", "👩\u200d👩\u200d👧\u200d👦 ❤\ufe0f 👍🏽"),
        ("Z" + "\u0334" * 500 + "o", "Z" + "\u0334" * 4 + "o"),
        ("Z" + "\u0334\u200d" * 500, "Z" + "\u0334\u200d" * 2),  # joiners do not begin a new pile
        ("Z" + "\u0334\u0334\u0334\u0334\u200b" * 500, "Z" + "\u0334" * 4),  # nor does what is dropped
        ("नमस्ते", "नमस्ते"),
        ("<img src=x onerror=alert(1)>", "<img src=x onerror=alert(1)>"),  # text; the page escapes it
        ("=cmd|'/C calc'!A0", "=cmd|'/C calc'!A0"),
        ("", None),
        (" \u200b\u2060\n", None),
        ("\u200d\ufe0f\u200d", None),
    ],
)
def test_a_comment_is_kept_without_what_nobody_can_see(text: str, kept: str | None) -> None:
    assert clean_comment(text) == kept


def test_two_thousand_characters_are_kept_and_one_more_is_refused() -> None:
    assert clean_comment("å" * 2000) == "å" * 2000
    assert clean_comment("😀" * 2000) == "😀" * 2000
    with pytest.raises(Rejected, match="comment: must have at most 2000 characters"):
        clean_comment("å" * 2001)
    assert clean_comment("\x00" * 5000 + "a") == "a"


def test_letters_that_we_keep_as_two_count_as_they_were_written() -> None:
    assert clean_comment("\u095c" * 2000) == "\u0921\u093c" * 2000
    assert clean_comment("e\u0301" * 2000) == "é" * 2000
    with pytest.raises(Rejected, match="comment: must have at most 2000 characters"):
        clean_comment("\u095c" * 2001)


@given(st.text(st.characters(), max_size=200))
def test_a_clean_comment_is_clean_for_ever(text: str) -> None:
    cleaned = clean_comment(text)
    if cleaned is None:
        return
    assert clean_comment(cleaned) == cleaned
    cleaned.encode()  # no lone surrogate
    assert "\x00" not in cleaned
    assert not {unicodedata.category(c) for c in cleaned} & {"Cs", "Co", "Cn"}
    assert not {c for c in cleaned if unicodedata.category(c) in {"Cc", "Cf"}} - set("\n\u200d")


@given(st.text(alphabet="e\u0301\u0302\u0334\u200d\u200b\ufe0f a", max_size=200))
def test_no_mix_of_marks_and_invisible_letters_piles_up(text: str) -> None:
    pile = 0
    for character in clean_comment(text) or "":
        pile = pile + 1 if character in "\u0301\u0302\u0334\u200d\ufe0f" else 0
        assert pile <= 4


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        answer = read_answer(parse_form(body), LANGUAGES)
    except Rejected:
        return
    assert answer.says_something


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("Qk7rW2pXz9Lm4Tn8Vb3Yc6", True),
        ("-_-_-_-_-_-_-_-_-_-_-_", True),
        ("Qk7rW2pXz9Lm4Tn8Vb3Yc", False),
        ("Qk7rW2pXz9Lm4Tn8Vb3Yc66", False),
        ("Qk7rW2pXz9Lm4Tn8Vb3Yc6\n", False),
        ("Qk7rW2pXz9Lm4Tn8Vb3Yc\x00", False),
        ("Qk7rW2pXz9Lm4Tn8Vb３Yc6", False),
        ("../../../../etc/passwd", False),
        ("", False),
    ],
)
def test_a_token_has_exactly_22_plain_letters(text: str, is_one: bool) -> None:
    assert looks_like_token(text) is is_one


def test_the_stored_hash_is_the_one_that_the_notifier_tells() -> None:
    assert token_hash("Qk7rW2pXz9Lm4Tn8Vb3Yc6").hex() == (
        "f8762f3a4694f25cf31f8bfb375969cfa11eb3ac23f012c4f78948b2b9174820"
    )
