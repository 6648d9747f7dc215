"""The public quality page: what it tells, what it hides, and that it needs nothing but itself."""

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from services.aggregator.quality.complaints import Complaints
from services.aggregator.quality.documents import as_csv, document
from services.aggregator.quality.figures import Quality
from services.aggregator.quality.notes import LANGUAGES, load_notes
from services.aggregator.quality.page import headers, render, render_none
from services.aggregator.quality.speech import words_of
from services.chassis.failures import MustStop
from services.chassis.web.shell import csp_hash
from tests.months import COMPLAINTS, PUBLISHER, SHELF, month_with
from tests.plain_words import placeholders


def test_a_month_is_told_in_five_figures_with_interval_and_last_year(quality: Quality) -> None:
    page = render(quality, PUBLISHER, SHELF, "sv")
    leads = re.findall(r'class="lead">([^<]+)<', page)
    notes = re.findall(r'class="note"><b>([^<]+)</b>, ([^<]+)<', page)
    assert leads[0] == "86,8"
    assert leads[3:] == ["94,1", "25,8"]
    assert notes[0] == ("86,5–87,1", "sep. 2025: 85,9")
    assert notes[3] == ("alla paket med löfte", "sep. 2025: 94,1")
    # 59,091 of 236,364 asked; receipts tell of 97 % of them, rounded down
    assert notes[4] == ("59\u00a0091", "av 229\u00a0273 nådda; 12,5\u00a0% av alla levererade")


def test_a_way_of_delivery_with_too_few_answers_hides_itself_and_one_more() -> None:
    quality = month_with(home_day=400, home_box=30, workplace=61)
    told = {m.value: (m.share is not None, m.hidden_with) for m in quality.methods}
    assert told == {"home_day": (True, ()), "home_box": (False, ()), "workplace": (False, ("home_box",))}


def test_what_is_hidden_is_in_no_form_of_the_page() -> None:
    quality = month_with(home_day=4000, home_box=43, workplace=57)
    for text in (
        render(quality, PUBLISHER, SHELF, "en"),
        json.dumps(document(quality, None)),
        as_csv(quality, None),
    ):
        read = re.sub(r"<style>.*?</style>|<[^>]+>", " ", text, flags=re.DOTALL)
        assert not re.search(r"\b(43|57|4,?043|4,?057)\b", read)
    assert 'class="hatched"' in render(quality, PUBLISHER, SHELF, "en")


def test_a_month_of_fewer_than_fifty_answers_shows_no_figure() -> None:
    quality = month_with(home_day=49)
    page = render(quality, PUBLISHER, SHELF, "en")
    assert re.findall(r'class="lead">', page) == []
    assert page.count("Too few answers (fewer than 50)") >= 4
    told = document(quality, None)
    assert (told["too_few"], told["satisfied"], told["bounds"], told["methods"]) == (
        True,
        None,
        None,
        [{"method": "home_day", "satisfied": None}],
    )


@pytest.mark.parametrize(("answers", "shown"), [(49, None), (50, 50)])
def test_fifty_answers_are_enough_for_a_month(answers: int, shown: int | None) -> None:
    quality = month_with(home_day=answers)
    assert (quality.too_few, quality.satisfied and quality.satisfied.n) == (shown is None, shown)


def test_the_line_is_dotted_before_a_break_and_does_not_cross_it(quality: Quality) -> None:
    page = render(quality, PUBLISHER, SHELF, "sv")
    pieces = re.findall(r'<path class="(line[^"]*)" d="([^"]+)"', page)[:2]
    assert [kind for kind, _ in pieces] == ["line older", "line"]
    assert [d.count("L") + 1 for _, d in pieces] == [5, 19]
    assert "Metodbyte mars 2025: en fråga per stopp, inte per paket" in page
    assert "Kvällsleverans i fler orter" in page


@pytest.mark.parametrize(
    ("language", "title", "said"),
    [
        ("sv", "Metod i detalj", "Grupper under 50 svar. Är bara en grupp dold"),
        ("en", "Method in detail", "Groups of fewer than 50 answers. Were one group alone hidden"),
    ],
)
def test_the_method_is_told_in_detail_with_its_limits_formulas_and_sources(
    quality: Quality, language: str, title: str, said: str
) -> None:
    page = render(quality, PUBLISHER, SHELF, language)
    section = page.split('id="method"')[1]
    assert section.startswith(f">{title}</h2>")
    names = ["counted", "asked", "share", "index", "rates", "bounds", "weighted", "biased", "complaints", "hidden"]
    assert re.findall(r'id="method-(\w+)"', section) == [*names, "corrected"]
    assert re.findall(r"<code>(.*?)</code>", section)[:2] == [
        "(p + z²/2n ± z √(p(1 − p)/n + z²/4n²)) / (1 + z²/n)",
        "100 (m − 1) / 4",
    ]
    assert re.findall(r'<a href="(https[^"]+)"', section) == [
        "https://doi.org/10.1080/01621459.1927.10502953",
        "https://doi.org/10.2307/145818",
    ]
    assert said in section
    # The limits are those of the figures: 5 %, 80 %, 10 points, 9 days.
    told = re.sub(r"<[^>]+>", "", section)
    assert [word in told for word in ("80\u00a0%", "5\u00a0%", " 10 p", " 9 da")] == [True] * 4
    assert page.count('href="#method"') == 2


def test_complaints_stand_per_thousand_by_cause_and_responsibility(quality: Quality) -> None:
    page = render(quality, PUBLISHER, SHELF, "sv")
    rows = re.findall(r'<tr><th scope="row">([^<]+)</th>((?:<td class="num">[\d,]+</td>){3})', page)
    told = {name: re.findall(r"[\d,]+(?=<)", cells) for name, cells in rows}
    assert told["För sent"] == ["1,94", "0,31", "0,22"]
    assert told["Alla klagomål, 4,11"] == ["3,30", "0,31", "0,50"]
    assert "2\u00a0055 ärenden är bedömda av personal, 212 är det inte än." in page


def test_few_complaints_are_not_shown(quality: Quality) -> None:
    few = Complaints(1000, {("late", "own"): 49}, waiting=3)
    page = render(quality, PUBLISHER, replace(SHELF, complaints=few), "en")
    assert "Too few complaints to be shown (fewer than 50)." in page
    assert few.document() is None
    assert "49" not in as_csv(quality, few).replace("0.49", "")[-200:]


@pytest.mark.parametrize(("judged", "shown"), [(49, False), (50, True)])
def test_complaints_are_shown_from_fifty_on(judged: int, shown: bool) -> None:
    assert (Complaints(1000, {("late", "own"): judged}, waiting=0).document() is not None) is shown


def test_json_and_csv_hold_the_figures_of_the_page(quality: Quality) -> None:
    told = document(quality, COMPLAINTS)
    assert (told["month"], told["revision"], len(told["months"])) == ("2026-09", 2, 24)
    rows = list(csv.reader(io.StringIO(as_csv(quality, COMPLAINTS))))
    [satisfied] = [r for r in rows if r[1:3] == ["all", "satisfied"] and r[0] == "2026-09"]
    assert [float(x) for x in satisfied[3:7]] == [told["satisfied"][k] for k in ("share", "low", "high", "n")]
    assert {len(r) for r in rows} == {8}
    assert ["2026-09", "late", "complaints own", "1.94", "", "", "", ""] in rows
    assert ["2026-09", "service_point", "satisfied", "0.889", "0.88525", "0.89264", "27730", ""] in rows
    assert ["2026-09", "home_box", "satisfied", "", "", "", "", ""] in rows
    assert {m["method"]: m["satisfied"] is None for m in told["methods"]}["in_home_code"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_needs_no_script_and_loads_nothing(quality: Quality, language: str) -> None:
    page = render(quality, PUBLISHER, SHELF, language)
    assert f'<html lang="{language}">' in page
    assert not re.search(r"<script|\sstyle=|\son\w+=|src=", page)
    [style] = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    assert csp_hash(style) in headers()["Content-Security-Policy"]
    assert "script-src 'none'" in headers()["Content-Security-Policy"]
    assert len(page.encode()) < 60_000


def test_before_a_month_is_closed_the_page_says_so() -> None:
    assert "Ingen månad är stängd än" in render_none(PUBLISHER, "sv")


def test_every_language_has_the_same_words_with_the_same_places() -> None:
    first, second = (words_of(language) for language in LANGUAGES)
    assert {k: placeholders(v) for k, v in first.items()} == {k: placeholders(v) for k, v in second.items()}
    assert all(first.values())
    assert all(second.values())


def test_notes_are_read_from_a_file_and_wrong_ones_stop_the_start(tmp_path: Path) -> None:
    file = tmp_path / "notes.toml"
    file.write_text('[[break]]\nmonth = "2025-03"\nsv = "en"\nen = "one"\n', encoding="utf-8")
    assert load_notes(file).breaks == {12 * 55 + 2: {"sv": "en", "en": "one"}}
    for wrong in ('[[break]]\nmonth = "2025-13"\nsv = "a"\nen = "b"', '[[break]]\nmonth = "2025-03"', "[[brake]]", "["):
        file.write_text(wrong, encoding="utf-8")
        with pytest.raises(MustStop, match="KVITTERA_QUALITY_NOTES_FILE"):
            load_notes(file)
