"""Pages that are rendered once and then filled: nobody gets anything of somebody else's page."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from services.survey.recipient.moulds import Moulds
from services.survey.recipient.page_models import CaseNotice, DonePage, RecipientPage
from services.survey.recipient.rendering import SurveyPages
from tests.recipient_pages import CONTESTED, DELIVERED, DONE, LOCKED, QUESTION, SAVED, SITE

HOSTILE: dict[str, Any] = {
    "token": "AAAAAAAAAAAAAAAAAAAAAA",
    "nonce": 'n"><script>alert(1)</script>',
    "merchant_name": "<b>Skogsgläntan</b> & 'Co' {{ site }}",
    "place": '" onfocus="alert(1)',
    "occurred_at": DELIVERED - timedelta(days=9, hours=5),
    "now": DELIVERED + timedelta(days=3),
    "zone": "Europe/Helsinki",
}
PLAIN_DONE = replace(DONE, case=None, review=None)


def render(pages: SurveyPages, page: RecipientPage) -> str:
    kind = type(page).__name__.removesuffix("Page").lower()
    html: bytes = getattr(pages, f"render_{kind}")(page)
    return html.decode()


@pytest.mark.parametrize("page", [QUESTION, SAVED, PLAIN_DONE, replace(CONTESTED, case=None), LOCKED, DONE, CONTESTED])
def test_a_page_is_the_same_whoever_looked_at_one_like_it_before(page: RecipientPage) -> None:
    page = replace(page, method="service_point", place="Kiosken vid torget")
    used = SurveyPages(SITE)
    for _ in range(2):
        hostile = render(used, replace(page, **HOSTILE))
    assert hostile == render(SurveyPages(SITE), replace(page, **HOSTILE))
    assert render(used, page) == render(SurveyPages(SITE), page)
    assert "Fjällbod" not in hostile
    assert "Qk7rW2pXz9Lm4Tn8Vb3Yc6" not in hostile
    assert "Kiosken vid torget" not in hostile
    assert "17:42" not in hostile


def test_what_stands_in_a_mould_is_escaped_as_the_template_escapes() -> None:
    pages = SurveyPages(SITE)
    for _ in range(2):
        html = render(pages, replace(QUESTION, method="service_point", **HOSTILE))
    assert "&lt;b&gt;Skogsgläntan&lt;/b&gt; &amp; &#39;Co&#39; {{ site }}" in html
    assert "&#34; onfocus=&#34;alert(1)" in html
    assert 'value="n&#34;&gt;&lt;script&gt;alert(1)&lt;/script&gt;"' in html
    assert "<b>Skogs" not in html
    assert '" onfocus' not in html
    assert "open-" not in html


def test_pages_that_differ_in_anything_but_the_facts_of_a_delivery_differ() -> None:
    pages = SurveyPages(SITE)
    alike: list[RecipientPage] = [
        QUESTION,
        replace(QUESTION, preselected=4),
        replace(QUESTION, merchant_name=None),
        replace(QUESTION, method="service_point"),
        replace(QUESTION, method="service_point", place="Kiosken vid torget"),
        replace(QUESTION, carrier="Fjällfrakt Demo"),
        replace(QUESTION, language="nn"),
        SAVED,
        replace(SAVED, reasons=("condition",)),
        replace(SAVED, followed={"courtesy": 5}),
        replace(SAVED, comment_saved=True),
        PLAIN_DONE,
        replace(PLAIN_DONE, preferences_saved=True),
        replace(PLAIN_DONE, editable_until=DELIVERED + timedelta(days=15)),
        replace(PLAIN_DONE, case=CaseNotice("K-1", "Årsta", DELIVERED, contact_promised=False)),
        replace(PLAIN_DONE, case=CaseNotice("K-2", "Årsta", DELIVERED, contact_promised=False)),
    ]
    for _ in range(2):
        assert len({render(pages, page) for page in alike}) == len(alike)


def test_what_a_person_wrote_is_on_no_other_page() -> None:
    pages = SurveyPages(SITE)
    assert "Ring min dotter" in pages.render_save_failed(replace(SAVED, comment_draft="Ring min dotter")).decode()
    assert "Ring min dotter" not in render(pages, SAVED)
    assert "data-failed hidden" in render(pages, SAVED)
    assert pages.render_save_failed(QUESTION) != pages.render_question(QUESTION)


def test_a_case_shows_its_own_time() -> None:
    pages = SurveyPages(SITE)
    notice = CaseNotice("K-1", "Årsta", DELIVERED, contact_promised=False)
    page: DonePage = replace(PLAIN_DONE, case=notice)
    assert "17:42" in render(pages, page)
    assert "18:42" in render(pages, replace(page, case=replace(notice, due_at=DELIVERED + timedelta(hours=1))))


def test_moulds_used_longest_ago_go_first_and_no_name_can_pass_for_a_mark() -> None:
    moulds, made = Moulds(most=2), []

    def page(state: str, name: str) -> bytes:
        def render(marks: Mapping[str, str]) -> str:
            made.append(state)
            return f"{state}: {marks['name']}!"

        return moulds.fill(state, {"name": name}, render)

    assert page("a", "Elin & Co") == b"a: Elin &amp; Co!"
    assert page("b", "open-0-name-") == b"b: open-0-name-!"
    assert page("a", "Nils") == b"a: Nils!"
    assert page("c", "Mio") == b"c: Mio!"
    assert page("a", "Nils") == b"a: Nils!"
    assert page("b", "Elin") == b"b: Elin!"
    assert made == ["a", "b", "c", "b"]
    assert len(moulds) == 2
