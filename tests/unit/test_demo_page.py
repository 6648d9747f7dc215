"""The page of `make demo`, as its server hands it out."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

import services.demo.page
from services.demo.page import asset, render_page
from services.demo.people import Town

PAGE = render_page()[0].decode()
SCRIPTS = [file.name for file in Path(services.demo.page.__file__).with_suffix("").glob("*.js")]


def test_the_page_runs_only_its_own_files_and_nothing_inline() -> None:
    headers = render_page()[1]
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=", PAGE)
    assert not re.search(r"https?://", PAGE)


def test_every_file_that_the_page_or_its_scripts_name_is_handed_out() -> None:
    wanted = re.findall(r'"/demo/assets/([^"]+)"', PAGE)
    assert "demo.js" in wanted
    for name in wanted:
        found = asset(name)
        assert found is not None
        wanted += [n for n in re.findall(r'from "\./([^"]+)"', found[0].decode()) if n not in wanted]
    assert set(SCRIPTS) <= set(wanted)


@pytest.mark.parametrize("name", ["index.html", "../page.py", "demo.css", "", "page.css/"])
def test_nothing_else_is_handed_out(name: str) -> None:
    assert asset(name) is None


def test_scripts_reach_only_for_places_that_the_page_has() -> None:
    places = set(re.findall(r'\sid="([^"]+)"', PAGE))
    for script in SCRIPTS:
        found = asset(script)
        assert found is not None
        assert set(re.findall(r'(?:byId|getElementById)\("([^"]+)"\)', found[0].decode())) <= places


def test_the_page_shows_the_four_parts_and_every_topic_between_them() -> None:
    assert re.findall(r'data-stage="(\w+)"', PAGE) == ["deliveries", "notifier", "survey", "aggregator"]
    assert re.findall(r'data-topic="([^"]+)"', PAGE) == [
        "delivery.completed.v1",
        "invitation.decided.v1",
        "response.recorded.v1",
        "satisfaction.cells.v1",
    ]


def test_before_the_first_audit_the_badge_claims_nothing() -> None:
    badge = PAGE[PAGE.index('id="audit"') :]
    assert "Not audited yet" in badge
    assert "0 lost" not in PAGE


def test_before_the_first_event_no_place_shows_a_number() -> None:
    shown = re.findall(r"data-(?:value|count|topic=\"[^\"]+\")>([^<]*)<", PAGE)
    assert len(shown) == 3 + 5 + 4
    assert set(shown) == {"–"}


def test_every_control_has_a_name_and_waits_until_the_server_speaks() -> None:
    for control in re.findall(r"<(?:button|input)[^>]*>", PAGE):
        assert "disabled" in control
    assert '<label for="speed">' in PAGE
    assert len(re.findall(r'<button type="button"[^>]*>.*?<span>[A-Z][a-z ]+</span>', PAGE)) == 4


def test_a_phone_has_words_of_its_own_in_every_language_that_the_demos_people_speak() -> None:
    town = Town(1, "Nordposten Demo")
    spoken = {town.next_case(datetime(2026, 11, 22, 12, 0, tzinfo=UTC)).delivery.pii.language for _ in range(300)}
    script = (Path(services.demo.page.__file__).with_suffix("") / "phones.js").read_text(encoding="utf-8")
    assert spoken == {"sv", "en", "da"}
    assert set(re.findall(r"^  (\w\w): \{ faces: ", script, re.MULTILINE)) == spoken
