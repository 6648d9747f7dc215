"""Colours, faces and headers that all pages share."""

import re
from pathlib import Path

import pytest
from jinja2 import Environment

from services.chassis.web import (
    SCORES,
    csp_hash,
    face,
    faces_sprite,
    inline_assets,
    mark,
    page_headers,
    page_templates,
    squeezed_css,
    staff_css,
    tokens_css,
    vendor_folder,
)


def colours(block: str) -> dict[str, str]:
    return dict(re.findall(r"--(\w+): (#[0-9A-F]{6})", block))


def light_and_darks() -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    light, by_system, forced = re.split(r"@media|\[data-theme=dark\]", tokens_css())
    return colours(light), colours(by_system), colours(forced)


def luminance(colour: str) -> float:
    channels = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_the_dark_colours_are_the_same_by_system_setting_and_by_choice() -> None:
    light, by_system, forced = light_and_darks()
    assert by_system == forced
    assert set(light) - set(by_system) == {"face"}  # the features of the faces are the same in both


@pytest.mark.parametrize("text", ["ink", "ink2", "ink3", "fjord", "falu", "ochre"])
def test_text_colours_can_be_read_on_both_grounds_in_light_and_dark(text: str) -> None:
    light, _, dark = light_and_darks()
    for palette in (light, dark):
        for ground in ("bg", "surface"):
            assert contrast(palette[text], palette[ground]) >= 4.5


def test_borders_that_carry_meaning_and_face_features_stand_out() -> None:
    light, _, dark = light_and_darks()
    for palette in (light, dark):
        assert contrast(palette["edge"], palette["surface"]) >= 3
        assert contrast(palette["btntext"], palette["btn"]) >= 4.5
        for score in SCORES:
            assert contrast(palette[f"s{score}"], light["face"]) >= 4.5


def test_the_sprite_holds_five_faces_and_each_is_hidden_from_readers() -> None:
    assert re.findall(r'<symbol id="face(\d)"', faces_sprite()) == ["1", "2", "3", "4", "5"]
    assert 'aria-hidden="true"' in face(4, 62)
    assert '<use href="#face4"/>' in face(4, 62)
    assert 'width="20"' in mark(20)


@pytest.mark.parametrize("score", [0, 6, -1])
def test_there_is_no_sixth_face(score: int) -> None:
    with pytest.raises(ValueError, match="1 to 5"):
        face(score, 24)


def test_a_page_without_own_files_may_load_nothing() -> None:
    policy = page_headers()["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'none'; script-src 'none'; connect-src 'self'; form-action")


def test_a_staff_page_may_load_own_files_only() -> None:
    policy = page_headers(same_origin=True, script_hashes=[csp_hash("go()")])["Content-Security-Policy"]
    assert "script-src 'self' 'sha256-" in policy
    assert "img-src 'self' data:" in policy
    assert "unsafe" not in policy


def test_an_inline_script_that_closes_its_own_tag_is_refused() -> None:
    with pytest.raises(ValueError, match="closing tag"):
        inline_assets("", "'</script>'")


def test_squeezing_drops_comments_and_keeps_rules() -> None:
    assert squeezed_css("/* a */ p > b { color: red; }\n@media (x: y) { q { top: 0; } }") == (
        "p>b{color: red}@media (x: y){q{top: 0}}"
    )


def test_the_staff_page_has_a_nav_with_counts_and_marks_the_current_page(tmp_path: Path) -> None:
    environment = page_templates(tmp_path)
    html = environment.get_template("staff.html").render(
        lang="en",
        faces_sprite=faces_sprite(),
        mark=mark(20),
        nav=[
            {"href": "/live", "label": "Live", "count": None, "current": False},
            {"href": "/cases", "label": "<Cases>", "count": 14, "current": True},
        ],
        nav_label="Pages",
        skip_label="To the content",
        scope_note=None,
        initials=None,
    )
    assert '<a href="/cases" aria-current="page">&lt;Cases&gt; <span class="count">14</span></a>' in html
    assert ".bar" in staff_css()


def test_a_page_is_compiled_once_for_all_who_show_it_and_again_when_its_text_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[str | None] = []
    compile_one = Environment.compile

    def counted(environment: Environment, source: str, name: str | None, filename: str | None) -> object:
        compiled.append(name)
        return compile_one(environment, source, name, filename)

    monkeypatch.setattr(Environment, "compile", counted)
    (tmp_path / "page.html").write_text("Hej {{ name }}", encoding="utf-8")

    first, second = page_templates(tmp_path), page_templates(tmp_path)
    second.globals["name"] = "Årsta"
    assert first.get_template("page.html").render(name="Umeå") == "Hej Umeå"
    assert second.get_template("page.html").render() == "Hej Årsta"
    assert compiled == ["page.html"]

    (tmp_path / "page.html").write_text("Hello {{ name }}", encoding="utf-8")
    assert page_templates(tmp_path).get_template("page.html").render(name="Umeå") == "Hello Umeå"
    assert compiled == ["page.html", "page.html"]


def test_the_chart_library_stands_with_its_licence() -> None:
    assert {file.name for file in vendor_folder().iterdir()} == {
        "uPlot.LICENSE",
        "uPlot.iife.min.js",
        "uPlot.min.css",
    }
