"""A survey's definition is checked when the service starts and never changes once it is released."""

import hashlib
import tomllib
from pathlib import Path

import pytest

from schemas.response import RatedParty
from services.chassis.failures import MustStop
from services.survey.definition_files import load_definitions, read_definition, read_definitions
from services.survey.definitions import Definition, Definitions, FollowUp, Occasion
from tests.document_blocks import blocks

RELEASED = {
    "damaged.v1.toml": "54282b73b913bdbf9ab6a734b7013b5a8dec411fc18d0de52a9f36342200a941",
    "enquiry.v1.toml": "84fa720ce5885ab1ca846c47b4d0aa0580de70399441e472aa5ec93c54b78eaf",
    "home.v1.toml": "8f53ad423981b41dd26e398f579130077a3970627ec113b978a003ef8397e78a",
    "locker.v1.toml": "1f2e89c9240c2c0ac06a282a36d210e67862af75dd09c757cfa2cafbe5135391",
    "return.v1.toml": "98e83a64d7f2ca12d1a33c870fb450fdd2b6f8db05fe703282c518111ff17427",
    "shop_pickup.v1.toml": "097688037db6e20ebe087ec3d980c60b37336d43f17dae12bdb00a968a487671",
}
GOOD = """\
# A parcel brought home.
id = "home.v2"
for = "home"
rated = "shop"
scale = "smiley5.v1"
follow_ups = ["ease", "courtesy"]
index = true
comment = false

[reasons]
low = ["on_time", "other"]
middle = []
high = ["courtesy"]
"""


def test_a_released_definition_never_changes(repository: Path) -> None:
    """Old answers keep their meaning: add home.v2.toml and its line above instead (docs/surveys.md)."""
    files = (repository / "services/survey/definitions").glob("*.toml")
    assert {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in files} == RELEASED


def test_the_question_of_the_net_promoter_score_begins_at_nought() -> None:
    asked = read_definition("home.v2.toml", GOOD.replace('"courtesy"]', '"recommend"]', 1)).follow_ups
    assert asked[:2] == (FollowUp("ease", 5), FollowUp("recommend", 10, smallest=0))


def test_remarks_and_spaces_are_no_change_and_anything_else_is_one() -> None:
    said = read_definition("home.v2.toml", GOOD).sha256
    assert read_definition("home.v2.toml", "# a remark\n\n" + GOOD).sha256 == said
    assert read_definition("home.v2.toml", GOOD.replace("comment = false", "comment = true")).sha256 != said


def test_every_occasion_has_a_survey() -> None:
    assert {d.occasion for d in load_definitions()} == set(Occasion)


def test_a_definition_says_what_is_asked_and_about_whom() -> None:
    assert read_definition("home.v2.toml", GOOD) == Definition(
        id="home.v2",
        occasion=Occasion.HOME,
        rated=RatedParty.SHOP,
        scale="smiley5.v1",
        follow_ups=(
            FollowUp("ease", 5),
            FollowUp("courtesy", 5),
            FollowUp("satisfaction", 10),
            FollowUp("expectancy", 10),
            FollowUp("ideal", 10),
        ),
        low=("on_time", "other"),
        middle=(),
        high=("courtesy",),
        comment=False,
    )


@pytest.mark.parametrize(
    ("score", "offered"),
    [(1, ("on_time", "other")), (2, ("on_time", "other")), (3, ()), (4, ("courtesy",)), (5, ("courtesy",))],
)
def test_the_reasons_offered_depend_on_the_score(score: int, offered: tuple[str, ...]) -> None:
    assert read_definition("home.v2.toml", GOOD).reasons_for(score) == offered


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('id = "home.v2"', 'id = "home"', "home.v2.toml:2: id must look like home.v1"),
        ('id = "home.v2"', 'id = "home.v3"', "home.v2.toml:2: id must be the file's name, or the file be called home"),
        ('id = "home.v2"', "", "home.v2.toml:1: id is missing"),
        ('for = "home"', 'for = "moon"', "home.v2.toml:3: for must be one of home, shop_pickup, locker, return, enq"),
        ('rated = "shop"', 'rated = "driver"', "home.v2.toml:4: rated must be one of carrier, shop, service_point"),
        ('rated = "shop"', "rated = 3", "home.v2.toml:4: rated must be a text"),
        ("smiley5.v1", "stars5.v1", "home.v2.toml:5: scale must be one of smiley5.v1"),
        ('["ease", "courtesy"]', '[\n"ease",\n"joy"]', "home.v2.toml:8: follow_ups has 'joy', which is none of court"),
        ('["ease", "courtesy"]', '["ease", "ease"]', "home.v2.toml:6: follow_ups names something twice"),
        ('["ease", "courtesy"]', '"ease"', "home.v2.toml:6: follow_ups must be a list of names"),
        ('["ease", "courtesy"]', "[[1]]", "home.v2.toml:6: follow_ups has [1], which is none of"),
        ("index = true", "index = 1", "home.v2.toml:7: index must be true or false"),
        ("comment = false", "coment = false", "home.v2.toml:8: coment is none of id, for, rated"),
        ('low = ["on_time", "other"]', 'low = ["price"]', "home.v2.toml:11: reasons.low has 'price', which is none of"),
        ("middle = []", "meddle = []", "home.v2.toml:12: reasons.meddle is none of low, middle, high"),
        ("middle = []", "", "home.v2.toml:1: reasons.middle is missing"),
        ("[reasons]", "[reason]", "home.v2.toml:10: reason is none of"),
        ("index = true", "index = yes", "home.v2.toml:7: "),
        ('high = ["courtesy"]', 'high = ["courtesy"', "home.v2.toml:"),
    ],
)
def test_what_is_wrong_in_a_file_is_told_with_its_line(old: str, new: str, told: str) -> None:
    with pytest.raises(MustStop) as stopped:
        read_definition("home.v2.toml", GOOD.replace(old, new))
    assert str(stopped.value).startswith(told)


def test_a_missing_occasion_stops_the_service() -> None:
    with pytest.raises(MustStop, match="no survey definition for damaged, enquiry, locker, return, shop_pickup"):
        read_definitions({"home.v2.toml": GOOD})


def own(folder: Path, *surveys: str) -> Path:
    """A folder of an installation, with surveys at home."""
    for survey in surveys:
        (folder / f"{survey}.toml").write_text(GOOD.replace("home.v2", survey), encoding="utf-8")
    return folder


def test_surveys_of_ones_own_are_asked_instead_and_the_other_occasions_keep_theirs(tmp_path: Path) -> None:
    known = load_definitions(own(tmp_path, "home.v2", "home.v10"))
    (tmp_path / "readme.md").write_text("no definition", encoding="utf-8")
    assert (known.choose("delivery.v1", "home").id, known.choose("delivery.v1", "locker").id) == (
        "home.v10",
        "locker.v1",
    )
    assert known.choose("home.v2", "home").rated is RatedParty.SHOP
    assert known.choose("home.v1", "home").rated is RatedParty.CARRIER, "what was begun with it goes on"
    assert load_definitions().choose("delivery.v1", "home").id == "home.v1"


def test_a_newer_version_that_comes_with_the_service_changes_no_survey_of_ones_own() -> None:
    ours = read_definition("home.v2.toml", GOOD)
    shipped = [read_definition(f"home.v{n}.toml", GOOD.replace("home.v2", f"home.v{n}")) for n in (1, 3)]
    assert Definitions(shipped, [ours]).choose("delivery.v1", "home") is ours
    theirs = read_definition("home.v2.toml", GOOD.replace('"shop"', '"carrier"'))
    assert Definitions([*shipped, theirs], [ours]).get("home.v2") is ours


@pytest.mark.parametrize(
    ("file", "text", "told"),
    [
        ("home.v2.toml", GOOD.replace('"home"', '"moon"').encode(), "home.v2.toml:3: for must be one of home, shop_"),
        ("home.v3.toml", GOOD.encode(), "home.v3.toml:2: id must be the file's name, or the file be called home.v2"),
        ("home.v2.toml", b"\xff", "{folder}/home.v2.toml cannot be read: UnicodeDecodeError"),
        ("home.v2.txt", GOOD.encode(), "{folder} holds no file that ends in .toml"),
    ],
    ids=["broken rule", "wrong name", "not UTF-8", "nothing"],
)
def test_what_is_wrong_with_surveys_of_ones_own_is_told_with_the_setting_and_the_file(
    tmp_path: Path, file: str, text: bytes, told: str
) -> None:
    (tmp_path / file).write_bytes(text)
    with pytest.raises(MustStop) as stopped:
        load_definitions(tmp_path)
    assert str(stopped.value).startswith("KVITTERA_SURVEYS_FOLDER: " + told.format(folder=tmp_path))


@pytest.mark.parametrize("page", ["docs/surveys.md", "docs/how-to/add-a-question.md"])
def test_the_surveys_that_documents_show_can_be_asked(repository: Path, page: str) -> None:
    [shown] = blocks(repository / page, "toml")
    survey = tomllib.loads(shown)["id"]
    assert read_definition(f"{survey}.toml", shown).id == survey


def test_a_folder_of_surveys_that_is_not_there_stops_the_service(tmp_path: Path) -> None:
    with pytest.raises(MustStop, match=r"^KVITTERA_SURVEYS_FOLDER: .*/away cannot be read: FileNotFoundError$"):
        load_definitions(tmp_path / "away")


@pytest.mark.parametrize(
    ("survey", "touchpoint", "exceptions", "chosen"),
    [
        ("delivery.v1", "home", (), "home.v1"),
        ("delivery.v1", "shop_pickup", (), "shop_pickup.v1"),
        ("delivery.v1", "locker", ("partial",), "locker.v1"),
        ("delivery.v1", "return", (), "return.v1"),
        ("delivery.v1", "enquiry", (), "enquiry.v1"),
        (None, "home", ("opened", "damaged"), "damaged.v1"),
        ("delivery.v1", "locker", ("damaged",), "damaged.v1"),
        ("home.v1", "locker", ("damaged",), "home.v1"),
        ("from_a_newer_notifier.v9", "locker", (), "locker.v1"),
        ("delivery.v1", "a drone over the garden", (), "home.v1"),
    ],
)
def test_the_invitation_or_else_the_delivery_decides_which_survey_it_is(
    survey: str | None, touchpoint: str, exceptions: tuple[str, ...], chosen: str
) -> None:
    assert load_definitions().choose(survey, touchpoint, exceptions).id == chosen


def test_the_newest_version_is_asked_and_the_old_one_keeps_its_meaning() -> None:
    first = read_definition("home.v2.toml", GOOD)
    tenth = read_definition("home.v10.toml", GOOD.replace("home.v2", "home.v10").replace('"shop"', '"carrier"'))
    known = Definitions([tenth, first])
    assert known.choose("delivery.v1", "home").id == "home.v10"
    assert known.choose("home.v2", "home") == first
