"""What a text message means that answers a request."""

import time

import pytest

from schemas.delivery import ChannelKind, ContactChannel
from services.notifier.policy import normalised
from services.survey.answers.replies import Reply, person_key, read_reply


@pytest.mark.parametrize(
    "text",
    [
        "STOP",
        "stop",
        "Stop.",
        " *STOPP!* ",
        "STOP ALT",
        "Stopp alt",
        "STOPPEN",
        "Stoppa tack",
        "sluta",
        "SLUTA!!",
        "Avbryt",
        "avregistrera mig",
        "unsubscribe",
        "“Unsubscribe”",
        "STOP ALL",
        "stopall",
        "Opt out",
        "opt-out",
        "cancel",
        "Avmeld",
        "Meld av",
        "afmeld",
        "FRAMELD",
        "lopeta",
        "Lopeta kaikki",
        "peruuta",
        "Abmelden",
        "abbestellen bitte",
        "ＳＴＯＰ",
        "stop sending me messages",
    ],
)
def test_a_stop_is_understood_in_every_language_without_regard_to_case_and_punctuation(text: str) -> None:
    assert read_reply(text) == Reply(stop=True)


@pytest.mark.parametrize(
    ("text", "score", "comment"),
    [
        ("4", 4, None),
        (" 4 ", 4, None),
        ("4!", 4, None),
        ("5.", 5, None),
        ("4 bra service", 4, "bra service"),
        ("4, Bra service", 4, "Bra service"),
        ("4\nbra service", 4, "bra service"),
        ("1: kartongen var blöt", 1, "kartongen var blöt"),
        ("2 - för sent", 2, "för sent"),
        ("Betyg: 5", 5, None),
        ("betyg 5", 5, None),
        ("BETYG=3 helt ok", 3, "helt ok"),
        ("Mitt betyg är 4", 4, None),
        ("Karakter: 2", 2, None),
        ("Vurdering 5, topp", 5, "topp"),
        ("Bedømmelse: 3", 3, None),
        ("arvosana 4", 4, None),
        ("Score: 1 never came", 1, "never came"),
        ("Note 5", 5, None),
        ("Bewertung: 2", 2, None),
        ("4/5", 4, None),
        ("5 av 5", 5, None),
        ("5 out of 5 great driver", 5, "great driver"),
        ("４", 4, None),
        ("3️⃣", 3, None),
        ("5 😀", 5, "😀"),
        ("5 a\u0000b\u202e", 5, "ab"),
        ("4:bra", 4, "bra"),
        ("5 - 🙂", 5, "🙂"),
        ("4. Mycket bra", 4, "Mycket bra"),
        ("1. Paket kam nicht an", 1, "Paket kam nicht an"),
        ("2 - paket saknades", 2, "paket saknades"),
        ("4 av 5, kom 2 timmar sent", 4, "kom 2 timmar sent"),
        ("5 och bra", 5, "och bra"),
        ("5 stjärnor", 5, "stjärnor"),
        ("5 A fantastic driver", 5, "A fantastic driver"),
        ("1) aldrig mer", 1, "aldrig mer"),
        ("5 A class act", 5, "A class act"),
        ("5:a", 5, None),
        ("5:a!", 5, None),
        ("5:an", 5, None),
        ("Betyg: 5:a", 5, None),
        ("Betyg: 2:a", 2, None),
        ("5:a till föraren", 5, "till föraren"),
        ("4:a från mig", 4, "från mig"),
        ("5 100% nöjd", 5, "100% nöjd"),
        ("5 100 % nöjd", 5, "100 % nöjd"),
        ("5\n100 poäng till föraren", 5, "100 poäng till föraren"),
        ("5 - 100% nöjd", 5, "100% nöjd"),
        ("5/5 - 1 dag tidigare", 5, "1 dag tidigare"),
        ("Score: 5/5 - 2 days early", 5, "2 days early"),
        ("Score: 1/5 - 2 days late", 1, "2 days late"),
        ("5 - 2 dagar tidigare", 5, "2 dagar tidigare"),
        ("5 och 1 dag tidigare än väntat", 5, "och 1 dag tidigare än väntat"),
        ("5 ja 10/10", 5, "ja 10/10"),
        ("5/5 och 10/10", 5, "och 10/10"),
        ("5 Box was intact", 5, "Box was intact"),
        ("4 Box was wet", 4, "Box was wet"),
        ("3 Kartong trasig", 3, "Kartong trasig"),
        ("2 Vara saknas", 2, "Vara saknas"),
        ("3 Item missing", 3, "Item missing"),
        ("5 May be the best", 5, "May be the best"),
        ("5\nMaj-Britt körde bra", 5, "Maj-Britt körde bra"),
        ("2\nPaket saknas", 2, "Paket saknas"),
        ("5 x", 5, "x"),
        ("1/5\nKom för sent", 1, "Kom för sent"),
        ("2/5 \n\nVar inte nöjd", 2, "Var inte nöjd"),
        ("1 av 5\nKom aldrig", 1, "Kom aldrig"),
        ("2/5 var inte nöjd", 2, "var inte nöjd"),
        ("1/5 was late", 1, "was late"),
    ],
)
def test_a_score_comes_first_with_or_without_words(text: str, score: int, comment: str | None) -> None:
    assert read_reply(text) == Reply(score=score, comment=comment)


@pytest.mark.parametrize(
    "text",
    [
        "Bra service",
        "0",
        "6",
        "10",
        "45",
        "4,5",
        "4.5",
        "3:15",
        "5 minuter sen",
        "2 dagar för sent",
        "3 paket fattades",
        "2 Stunden zu spät",
        "4x4",
        "1,2",
        "Jag ger 4",
        "The bus stop was closed",
        "Don't stop, great service from you",
        "Stoppet vid porten gick bra tack",
        "End of story",
        "-1",
        "half past 5",
        "1:a klass service!",
        "2:a gången det blir fel",
        "1:sta gången",
        "2:nen yritys onnistui",
        "1 klass",
        "1 a klass",
        "1. klasse service",
        "1. Klasse Service",
        "1-klass leverans",
        "5. Stock, kein Aufzug",
        "2. Versuch hat geklappt",
        "1-2 dagar tidigare än väntat, toppen!",
        "2-3 dagar sen",
        "2 – 3 dagar sen",
        "1 till 2 dagar sen",
        "4 eller 5",
        "1 av 2 paket kom",
        "2 av 3 paket saknades",
        "5 av 5 paket kom",
        "Betyg: 4 av 10",
        "Betyg 1-2",
        "1 000 tack",
        "½ paketet saknades",
        "1 ½ dag för sent",
        "3 e gången",
        "5 % av varorna saknades",
        "2-dagars försening",
        "3 månader sen",
        "2 varor saknades",
        "5 december lovade ni",
        "3. mai var den lovet",
        "2 joulukuuta",
        "1. Snabbt 2. Trevlig förare",
        "1) Snabbt\n2) Trevlig förare",
        "1:a",
        "1:a!",
        "2:a på bollen",
        "Betyg: 1:a klass",
        "4:a våningen utan hiss",
        "3:e gången",
        "1 100 poäng till er",
        "2 500 kr försvann",
        "5 000 tack",
        "1 till 10 dagar",
        "1-2 % trasigt",
        "2 - 3 paket",
        "4 och 5",
        "1+1 är två",
        "2 och 1/2 timme sen",
        "1 1/2 timme",
        "1 av 5 kom fram",
        "1/5 kom ni inte",
        "1/5 var ni inte här",
        "2 av 5 var trasiga",
        "1/5 - 3/5 väntade jag",
        "1 vara saknas",
        "1 Kartong var trasig",
        "2 box missing",
        "2 artikel fehlen",
        "5 maj 2026",
        "2 x trasig vara",
    ],
)
def test_anything_else_is_kept_as_a_comment_only(text: str) -> None:
    assert read_reply(text) == Reply(comment=text)


@pytest.mark.parametrize("begins", ["5", "betyg", "1 och", "2 -", "5 till 9"])
def test_a_text_that_is_mostly_space_takes_no_longer_than_another(begins: str) -> None:
    began = time.perf_counter()
    read_reply(begins + " " * 4_000 + "x")
    assert time.perf_counter() - began < 1


@pytest.mark.parametrize("text", ["", " ", "\u0000", "...", "?!", "\u200d", "\u202e\u2066"])
def test_a_text_that_says_nothing_means_nothing(text: str) -> None:
    assert read_reply(text) == Reply()


def test_a_long_text_is_cut_where_a_comment_ends() -> None:
    assert read_reply("å" * 5000) == Reply(comment="å" * 2000)
    assert read_reply("4 " + "å" * 5000) == Reply(score=4, comment="å" * 2000)


@pytest.mark.parametrize(
    "written",
    ["+46701740634", "+46 70-174 06 34", "+46 (0)70 174 06 34", "+46.70.174.06.34", "+46\u00a070\u201117406\u201334"],
)
def test_a_sender_is_spelled_as_the_notifier_spells_the_recipient(written: str) -> None:
    assert (
        person_key(written) == normalised(ContactChannel(kind=ChannelKind.SMS, address=written)) == "sms:+46701740634"
    )


@pytest.mark.parametrize("written", ["0046701740634", "46701740634", " 46701740634 "])
def test_what_gateways_leave_out_is_added(written: str) -> None:
    assert person_key(written) == "sms:+46701740634"


@pytest.mark.parametrize(
    "sender", ["", "Nordposten", "0701740634", "72246", "+0701740634", "４６701740634", "+46701740634x"]
)
def test_a_sender_that_cannot_be_told_is_nobody(sender: str) -> None:
    assert person_key(sender) is None


@pytest.mark.parametrize(
    ("sender", "country", "expected"),
    [
        ("0701740634", "SE", "sms:+46701740634"),
        ("070-174 06 34", "SE", "sms:+46701740634"),
        ("46701740634", "SE", "sms:+46701740634"),
        ("0046701740634", "SE", "sms:+46701740634"),
        ("+4790012345", "SE", "sms:+4790012345"),
        ("4790012345", "SE", "sms:+4790012345"),
        ("90012345", "NO", "sms:+4790012345"),
        ("4790012345", "NO", "sms:+4790012345"),
        ("46701740634", "NO", "sms:+46701740634"),
        ("20123456", "DK", "sms:+4520123456"),
        ("0401234567", "FI", "sms:+358401234567"),
        ("0151 23456789", "DE", "sms:+4915123456789"),
        ("0701", "SE", None),
        ("Nordposten", "SE", None),
        ("0701740634", "XX", None),
    ],
)
def test_a_number_as_it_is_dialled_at_home_is_one_of_the_gateways_country(
    sender: str, country: str, expected: str | None
) -> None:
    assert person_key(sender, country) == expected
