"""What is masked in a comment, and what is left alone: a corpus in six languages, and properties."""

import time
from itertools import pairwise

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from services.survey.praise.personal_numbers import is_personal_number
from services.survey.praise.scrub import Kind, Piece, find, readable, scrub, words

NAMES = ("Astrid Canary",)


def shown(text: str, country: str, names: tuple[str, ...] = ()) -> str:
    return "".join(f"[{p.mask}]" if p.mask else p.text for p in scrub(text, country, names))


@pytest.mark.parametrize(
    ("country", "text", "expected"),
    [
        # Swedish
        ("SE", "Ring 070-174 06 05 om något saknas", "Ring [phone] om något saknas"),
        ("SE", "Nås på +46 70 174 06 33.", "Nås på [phone]."),
        ("SE", "Skriv till anna.berg@mottagare.example!", "Skriv till [email]!"),
        ("SE", "Portkoden är 4711 och det funkade", "Portkoden är [code] och det funkade"),
        ("SE", "Slå 4711# vid dörren", "Slå [code] vid dörren"),
        ("SE", "Jag bor på Storgatan 12 B, tre trappor", "Jag bor på [address], tre trappor"),
        ("SE", "ställ den på storgatan 12", "ställ den på [address]"),
        ("SE", "Lägenhet 1203 alltså", "[address] alltså"),
        ("SE", "123 45 Årsta är rätt", "[address] är rätt"),
        ("SE", "19811218-9876 är jag", "[personal_number] är jag"),
        ("SE", "Bilder på www.canary.example/min-sida", "Bilder på [web]"),
        ("SE", "Kolli 373325389911234567 kom fram", "Kolli [number] kom fram"),
        ("SE", "Tack! Mvh Bertil Canary", "Tack! Mvh [name]"),
        ("SE", "Så bra /Bertil", "Så bra /[name]"),
        ("SE", "Ring 070-123, 45 67 nu", "Ring [phone] nu"),
        ("SE", "Ring +46, 70 123 45 67 nu", "Ring [phone] nu"),
        ("SE", "Ring 08-12 34, 56 78, 14-16", "Ring [phone], 14-16"),
        ("SE", "Ring 070-123, 45 67, 2 dagar", "Ring [phone], 2 dagar"),
        # Norwegian, both forms
        ("NO", "Ring 22 12, 34 56", "Ring [phone]"),
        ("NO", "Bor i Kong Oscars gate 3, 5017 Bergen", "Bor i [address], [address]"),
        ("NO", "Dørkoden er 1234, ring 22 12 34 56", "Dørkoden er [code], ring [phone]"),
        ("NO", "Fødd 010100 50053 om de lurer", "Fødd [personal_number] om de lurer"),
        ("NO", "Kjempebra. Vennlig hilsen Kari", "Kjempebra. Vennlig hilsen [name]"),
        # Danish
        ("DK", "Cpr 010170-1234, tlf. 20 12 34 56", "Cpr [personal_number], tlf. [phone]"),
        ("DK", "Stil den på H.C. Andersens Vej 4", "Stil den på [address]"),
        ("DK", "Kode 9981 til opgangen i Østergade 7", "Kode [code] til opgangen i [address]"),
        ("DK", "Flink! Med venlig hilsen Mette Canary", "Flink! Med venlig hilsen [name]"),
        # Finnish
        ("FI", "Ovikoodi on 5566, Mannerheimintie 10 A 5", "Ovikoodi on [code], [address]"),
        ("FI", "Hetu 131052-308T ja 040 123 4567", "Hetu [personal_number] ja [phone]"),
        ("FI", "Kiitos! Terveisin Aino", "Kiitos! Terveisin [name]"),
        # English
        ("SE", "The door code is 2468, call me at 08-465 004 10", "The door code is [code], call me at [phone]"),
        (
            "SE",
            "Left it at 12 Church Road as asked. Kind regards Bob",
            "Left it at [address] as asked. Kind regards [name]",
        ),
        # German
        ("DE", "Hauptstraße 7, Türcode: 9981", "[address], Türcode: [code]"),
        ("DE", "Tel. 030 23125 012. Viele Grüße Klaus Beispiel", "Tel. [phone]. Viele Grüße [name]"),
    ],
)
def test_personal_data_are_masked_by_kind(country: str, text: str, expected: str) -> None:
    assert shown(text, country) == expected


@pytest.mark.parametrize(
    ("country", "text"),
    [
        ("SE", "Ringde innan, väntade medan jag letade skor och bar in paketet åt min mamma. Så gör man."),
        ("SE", "Kom 17:42 den 2026-10-13, lovat 16-18. 5 av 5, väntade 20 minuter."),
        ("SE", "Lovat 24/11, 08-12, kom 14"),
        ("SE", "Utlovad tid 10-12, 14-16"),
        ("SE", "Utlovad tid 08-12, 14-16"),
        ("SE", "Kom 0830, 1230"),
        ("SE", "Vi väntade 20, 25, 30, 35 minuter"),
        ("SE", "Kom kl 10.15, 12.30 och 14.00"),
        ("SE", "Kom 2026-10-13, 16-18"),
        ("SE", "Betalade 1 299, 499 och 89 kr"),
        ("DE", "Lieferung 24.11., 10-14 Uhr"),
        ("SE", "Ring gärna på nästa gång. Vägen var hal men han kom."),
        ("NO", "Sjåføren ventet i 10 minutter. Supert 2. gang også."),
        ("DK", "Han kom kl. 14.30 og var flink. 3 pakker på en gang."),
        ("FI", "Kuljettaja odotti 15 minuuttia, tie oli liukas."),
        ("SE", "The driver waited 5 minutes and carried 2 boxes up 4 floors in 2026."),
        ("DE", "Der Fahrer war nett und unterwegs gut zu erreichen, 2 Pakete."),
    ],
)
def test_ordinary_words_and_numbers_stay(country: str, text: str) -> None:
    assert shown(text, country) == text


def test_names_of_the_contact_block_are_masked_wherever_they_stand_with_their_endings() -> None:
    assert shown("ASTRID här, Astrids paket, canary. Astronomi är kul", "SE", NAMES) == (
        "[name] här, [name] paket, [name]. Astronomi är kul"
    )


@pytest.mark.parametrize(
    "between", ["\u200d", "\ufe0f", "\u034f", "_", ",", "*", "\u2014", "\u2009", "\u3164", "\u200d "]
)
def test_what_stands_between_its_digits_hides_no_number_from_the_masks(between: str) -> None:
    assert shown(f"Ring {between.join(['072', '345', '67', '89'])} nu", "SE") in {"Ring [phone] nu", "Ring [code] nu"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Skriv till anna\u200d.berg\u200d@\u200dmottagare.example!", "Skriv till [email]!"),
        ("Skriv till anna\uff20mottagare.example", "Skriv till [email]"),
        ("Ring ⓪⑦②③④⑤⑥⑦⑧⑨ nu", "Ring [phone] nu"),
        ("A\u200dstrid tackar, Astrid\ufe0f", "[name] tackar, [name]"),
        ("Tack 👍\U0001f3fd ❤\ufe0f 👩\u200d👧!", "Tack 👍\U0001f3fd ❤\ufe0f 👩\u200d👧!"),
        ("Väntade 5\u00a0minuter, 12\u00a0m² snö", "Väntade 5\u00a0minuter, 12\u00a0m² snö"),
    ],
)
def test_a_comment_is_masked_as_it_looks_and_otherwise_stays_as_it_was_written(text: str, expected: str) -> None:
    assert shown(text, "SE", NAMES) == expected


def test_finds_that_overlap_become_one_mask_that_covers_both() -> None:
    assert shown("koden är 4711 0701740605", "SE").count("4711") == 0
    assert shown("anna@070-1740605.example", "SE") == "[email]"


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("811218-9876", True),  # Sweden, Skatteverket's example
        ("19811218-9876", True),
        ("811278-9873", True),  # a coordination number: day + 60
        ("811218-9877", False),  # wrong check digit, and no Danish date
        ("01010050053", True),  # Norway
        ("01010050028", False),
        ("010170-1234", True),  # Denmark: a date
        ("320170-1234", False),
        ("131052-308T", True),  # Finland, the authority's example
        ("131052-308U", False),
        ("131052A308T", True),
    ],
)
def test_personal_numbers_are_told_by_their_checks(text: str, holds: bool) -> None:
    assert is_personal_number(text) is holds


def test_staff_masks_whole_words_by_number() -> None:
    assert scrub("Tack till Kalle idag", "SE", more=[2]) == (Piece("Tack till "), Piece("", Kind.WORD), Piece(" idag"))


def test_the_preview_gives_no_text_for_a_masked_word() -> None:
    found = words("Ring 070-174 06 05 nu", "SE")
    assert [(w.text, w.mask) for w in found] == [
        ("Ring", None),
        ("", Kind.PHONE),
        ("", Kind.PHONE),
        ("", Kind.PHONE),
        ("nu", None),
    ]


def test_the_readable_rest_has_no_masked_word() -> None:
    assert readable(scrub("Koden är 4711 tack", "SE")) == "Koden är   tack"


COUNTRIES = st.sampled_from(["SE", "NO", "DK", "FI", "DE"])
AROUND = st.text(alphabet="abcåäöæøéABC .,!?\n", max_size=30)
SECRETS = st.sampled_from(
    ["0701740605", "+46701740633", "070-174 06 05", "anna.berg@mottagare.example", "https://canary.example/a?b=1"]
)


@given(AROUND, SECRETS, AROUND, COUNTRIES)
def test_a_secret_is_masked_whatever_words_stand_around_it(before: str, secret: str, after: str, country: str) -> None:
    left = readable(scrub(f"{before} {secret} {after}", country))
    assert secret not in left
    assert not any(part in left for part in ("0701", "174", "mottagare", "canary"))


@given(st.text(max_size=200), COUNTRIES, st.sets(st.integers(0, 20)))
@example("a@b.se 0701740605", "SE", {0, 1})
def test_what_is_not_masked_stays_as_written_and_in_order(text: str, country: str, more: set[int]) -> None:
    place = 0
    for piece in scrub(text, country, more=more):
        assert (piece.mask is None) == (piece.text != "")
        place = text.index(piece.text, place) + len(piece.text)


@given(st.text(max_size=200), COUNTRIES)
def test_masks_lie_in_order_apart_and_inside_the_text(text: str, country: str) -> None:
    spans = find(text, country)
    assert all(0 <= s.start < s.end <= len(text) for s in spans)
    assert all(a.end <= b.start for a, b in pairwise(spans))


@given(st.text(alphabet="ab 0123456789-", max_size=60), COUNTRIES)
def test_no_five_digits_in_a_row_are_left(text: str, country: str) -> None:
    left = readable(scrub(text, country))
    run = longest = 0
    for c in left:
        run = run + 1 if c.isdigit() else 0
        longest = max(longest, run)
    assert longest < 5


@given(st.text(max_size=120), COUNTRIES, st.sets(st.integers(0, 20)))
def test_masks_of_staff_never_uncover_anything(text: str, country: str, more: set[int]) -> None:
    assume(text.strip())
    alone = readable(scrub(text, country)).split()
    with_more = readable(scrub(text, country, more=more)).split()
    assert len("".join(with_more)) <= len("".join(alone))


@pytest.mark.parametrize("unit", ["a-", "A-", "12-12-", "a.", "1.", "é", "Storgatan-", "kod ", "www.", "-"])
def test_no_comment_takes_long_to_scrub_whatever_somebody_writes_into_it(unit: str) -> None:
    began = time.thread_time()
    scrub((unit * 2000)[:2000], "SE", NAMES)
    assert time.thread_time() - began < 0.4  # as some were written before, seconds
