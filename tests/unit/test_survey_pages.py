"""What recipients see on every page, in every language, and what must never stand in it."""

import base64
import hashlib
from dataclasses import replace

import pytest

from services.survey.languages import LANGUAGES
from services.survey.recipient.rendering import SurveyPages
from tests.page_reader import Page
from tests.recipient_pages import (
    QUESTION,
    STATES,
)


def every_page(pages: SurveyPages, language: str) -> dict[str, bytes]:
    return {name: render(pages, language) for name, render in STATES.items()}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_is_small_well_formed_and_says_its_language(pages: SurveyPages, language: str) -> None:
    for name, html in every_page(pages, language).items():
        page = Page(html)
        assert page.all("html", lang=language), name
        assert len(html) < 30_000, name
        ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
        assert len(ids) == len(set(ids)), name
        assert len(page.all("h1")) == 1, name


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_loads_nothing_and_has_no_inline_attributes_that_its_policy_refuses(
    pages: SurveyPages, language: str
) -> None:
    for name, html in every_page(pages, language).items():
        page = Page(html)
        for tag, attrs in page.tags:
            assert tag not in {"img", "link", "iframe", "object", "embed", "base"}, name
            assert "src" not in attrs, name
            assert "style" not in attrs, name
            assert not [attribute for attribute in attrs if attribute.startswith("on")], name
        assert "url(" not in page.inline["style"][0]


def test_the_headers_allow_exactly_the_style_and_the_script_that_stand_in_the_page(pages: SurveyPages) -> None:
    page = Page(pages.render_question(QUESTION))
    policy = pages.headers["Content-Security-Policy"]
    for kind in ("style", "script"):
        (text,) = page.inline[kind]
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}';" in policy
    for rule in ("default-src 'none'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"):
        assert rule in policy
    assert "unsafe" not in policy
    assert pages.headers["Referrer-Policy"] == "no-referrer"
    assert pages.headers["Cache-Control"] == "no-store"
    assert pages.headers["X-Robots-Tag"] == "noindex"
    assert pages.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_unknown_page_tells_nothing_but_the_human_route(pages: SurveyPages, language: str) -> None:
    html = pages.render_unknown(language)
    page = Page(html)
    assert html == pages.render_unknown(language)
    assert not page.all("form")
    assert not page.all("input")
    assert page.all("a", href="tel:0846500410")
    assert "/r/" not in "".join(str(attrs) for _, attrs in page.tags)
    assert "token" not in html.decode().lower()


def test_the_page_for_a_very_new_link_can_be_loaded_again_and_its_script_does_so_after_two_seconds(
    pages: SurveyPages,
) -> None:
    assert Page(pages.render_not_ready("sv")).all("a", href="", **{"data-reload": "2"})
    assert not Page(pages.render_unknown("sv")).all("a", href="")
    for language in LANGUAGES:
        for html in every_page(pages, language).values():
            assert not Page(html).all("meta", **{"http-equiv": "refresh"})


def test_the_languages_are_links_and_the_current_one_is_marked(pages: SurveyPages) -> None:
    page = Page(pages.render_question(replace(QUESTION, language="en")))
    hrefs = [link["href"] for link in page.all("a") if "hreflang" in link]
    assert hrefs == ["?lang=sv", "?lang=nb", "?lang=da", "?lang=fi", "?lang=en", "?lang=de"]
    assert [link["lang"] for link in page.all("a", **{"aria-current": "true"})] == ["en"]
