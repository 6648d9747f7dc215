"""What a text message costs: vectors typed by hand from GSM 03.38 and from what operators bill."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.chassis.segments import in_gsm7, segments


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", 1),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("åäöÅÄÖæøÆØéÑü" * 12, 1),
        ("å" * 160, 1),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("[]{}\\~^|" * 10, 1),
        ("[]{}\\~^|" * 10 + "a", 2),
        ("ç" * 70, 1),
        ("ç" * 71, 2),
        ("ç" * 134, 2),
        ("ç" * 135, 3),
        ("a" * 69 + "–", 1),
        ("a" * 70 + "–", 2),
        ("a" * 68 + "📦", 1),
        ("a" * 69 + "📦", 2),
        ("a" * 70 + "\u00a0", 2),
    ],
)
def test_parts_are_counted_as_they_are_billed(text: str, parts: int) -> None:
    assert segments(text) == parts


@pytest.mark.parametrize(
    ("given_text", "spelled"),
    [
        ("–—…‘’“”", "--...''\"\""),
        ("a\u00a0b\u200bc\u202fd", "a bc d"),
        ("„Kök« 1−2", '"Kök" 1-2'),
        ("Ægir Þór Guðmundsson", "Ægir Thor Gudmundsson"),
        ("🙂 5", "5"),
        ("œuvre ça", "oeuvre ca"),
    ],
)
def test_dear_letters_are_spelled_with_cheap_ones(given_text: str, spelled: str) -> None:
    assert in_gsm7(given_text) == spelled


@given(st.text(max_size=300))
def test_spelled_text_is_never_billed_as_ucs_2(text: str) -> None:
    cheap = in_gsm7(text)
    twice = sum(2 if letter in "^{}\\[~]|€\f" else 1 for letter in cheap)
    assert segments(cheap) == (1 if twice <= 160 else -(-twice // 153))
