"""A public review is offered by merchant policy and a draw only; no score can reach the offer (guarantee 9, D1, D3)."""

import ast
import base64
import inspect
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from services.chassis.failures import MustStop
from services.chassis.sealing import Seal
from services.survey.recipient import http
from services.survey.reviews import offer
from services.survey.reviews.offer import (
    Draw,
    PlainLink,
    Recipient,
    Trustpilot,
    business_generated,
    is_offered,
    read_policies,
    review_link,
    sampling_draw,
)
from services.survey.reviews.stored import Reviews

SEAL = Seal(b"k" * 32)
ENCRYPTION = "g9hH6MkVnlKlGa5IG+5R/uKgyrCJxOsh5fXlwK0mjH0="
AUTHENTICATION = "oGmd/bHHkd+N6P6lZQxyfikjU7c5P/mhWO/noCsERyY="
EVERY_THIRD = PlainLink(kind="link", site="Omdömen", url="https://omdomen.example/skriv", rate=1 / 3)
FORBIDDEN = ("score", "comment", "answer", "reason", "sentiment", "satisf", "response", "contested", "follow")
GOOD = """
[default]
kind = "link"
site = "Omdömen"
url = "https://omdomen.example/{language}/skriv?ref={reference}"
rate = 0.5

[merchants]
fjallbod = "none"

[merchants.bokladan]
kind = "trustpilot"
domain = "nordposten.example"
surveys = ["delivery.v1"]
"""


def write(folder: Path, text: str) -> Path:
    file = folder / "reviews.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_no_name_in_the_module_can_hold_what_was_answered() -> None:
    tree = ast.parse(Path(offer.__file__).read_text(encoding="utf-8"))
    names = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
    names |= {n.arg for n in ast.walk(tree) if isinstance(n, ast.arg)}
    names |= {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
    names |= {a.name for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) for a in n.names}
    assert {name for name in names for word in FORBIDDEN if word in name.lower()} == set()


def test_the_module_imports_nothing_that_knows_answers() -> None:
    tree = ast.parse(Path(offer.__file__).read_text(encoding="utf-8"))
    ours = {n.module: {a.name for a in n.names} for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.module}
    assert {m: names for m, names in ours.items() if m.startswith(("services", "schemas"))} == {
        "services.chassis.failures": {"MustStop"},
        "services.chassis.sealing": {"Seal"},
        "services.chassis.wrong_fields": {"wrong_fields"},
        "services.survey.recipient.page_models": {"ReviewLink"},
    }


def test_the_decision_takes_survey_policy_and_draw_and_nothing_else() -> None:
    assert list(inspect.signature(is_offered).parameters) == ["survey", "policy", "draw"]
    assert list(inspect.signature(sampling_draw).parameters) == ["seal", "invitation_id"]
    assert list(inspect.signature(review_link).parameters) == ["policy", "reference", "language", "recipient"]
    kinds = {p.kind for f in (is_offered, sampling_draw, review_link) for p in inspect.signature(f).parameters.values()}
    assert inspect.Parameter.VAR_KEYWORD not in kinds
    assert inspect.Parameter.VAR_POSITIONAL not in kinds


def test_about_a_third_is_drawn_and_always_the_same_third() -> None:
    first = [is_offered("delivery.v1", EVERY_THIRD, sampling_draw(SEAL, f"i-{n}")) for n in range(3000)]
    again = [is_offered("delivery.v1", EVERY_THIRD, sampling_draw(SEAL, f"i-{n}")) for n in range(3000)]
    assert first == again
    assert 900 < sum(first) < 1100
    assert first != [is_offered(None, EVERY_THIRD, sampling_draw(Seal(b"o" * 32), f"i-{n}")) for n in range(3000)]


@pytest.mark.parametrize(("rate", "draw", "offered"), [(1, 0.9999, True), (0, 0.0, False), (0.5, 0.5, False)])
def test_all_none_and_the_edge_of_the_share(rate: float, draw: float, offered: bool) -> None:
    policy = EVERY_THIRD.model_copy(update={"rate": rate})
    assert is_offered("delivery.v1", policy, Draw(draw)) is offered


def test_a_policy_may_name_the_survey_versions_it_is_for() -> None:
    policy = EVERY_THIRD.model_copy(update={"surveys": ("delivery.v2",), "rate": 1.0})
    assert [is_offered(s, policy, Draw(0.1)) for s in ("delivery.v1", "delivery.v2", None)] == [False, True, False]


def test_placeholders_are_filled_and_encoded() -> None:
    policy = PlainLink(kind="link", site="Omdömen", url="https://omdomen.example/{language}?ref={reference}")
    assert review_link(policy, reference="a b&c", language="sv").url == "https://omdomen.example/sv?ref=a%20b%26c"


def test_the_length_of_a_sealed_message_is_trustpilots_own() -> None:
    keys = base64.b64decode(ENCRYPTION), base64.b64decode(AUTHENTICATION)
    assert len(business_generated(b"this is the secret message", *keys)) == 108


def test_a_sealed_payload_is_byte_for_byte_the_one_computed_elsewhere() -> None:
    sealed = business_generated(
        {"email": "xyz@domain.com", "name": "John Smith", "ref": "1234"},
        base64.b64decode(ENCRYPTION),
        base64.b64decode(AUTHENTICATION),
        iv=bytes(range(16)),
    )
    assert sealed == (
        "AAECAwQFBgcICQoLDA0OD+XqDe3KzM58jTpL9Ny52P6A9Abl45wykBLLcWMk+3yIW4P1zw1MlnCzDelWTyT/CEclwEMmzRScXl1joz/UcMXN"
        "ttpYfVlY4GNrvjBWYxGtVZHUVl4Z8kMZIVilTku8sQ=="
    )


def test_a_business_generated_link_is_percent_encoded_and_fresh_each_time() -> None:
    policy = Trustpilot.model_validate(
        {
            "kind": "trustpilot",
            "domain": "nordposten.example",
            "encryption_key": ENCRYPTION,
            "authentication_key": AUTHENTICATION,
        }
    )
    person = Recipient("astrid@mottagare.example", "Astrid Öberg")
    links = [review_link(policy, reference="r1", language="sv", recipient=person) for _ in range(2)]
    assert links[0] != links[1]
    url = urlsplit(links[0].url)
    assert (url.netloc, url.path) == ("www.trustpilot.com", "/evaluate-bgl/nordposten.example")
    assert not set("+/") & set(url.query.removeprefix("p="))
    sealed = base64.b64decode(parse_qs(url.query)["p"][0], validate=True)
    assert (len(sealed) - 48) % 16 == 0
    assert "astrid" not in links[0].url


def test_without_a_known_recipient_everybody_gets_the_sites_plain_page() -> None:
    policy = Trustpilot(kind="trustpilot", domain="nordposten.example")
    link = review_link(policy, reference="r1", language="sv")
    assert link.url == "https://www.trustpilot.com/evaluate/nordposten.example"


def test_a_policy_file_has_a_policy_for_each_merchant_and_one_for_all_others(tmp_path: Path) -> None:
    policies = read_policies(write(tmp_path, GOOD))
    assert policies.of("fjallbod") is None
    named = {merchant: policies.of(merchant) for merchant in ("bokladan", "another", None)}
    assert {m: found and (found[0], found[1].kind) for m, found in named.items()} == {
        "bokladan": ("bokladan", "trustpilot"),
        "another": ("default", "link"),
        None: ("default", "link"),
    }
    assert read_policies(None).of("another") is None


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[default]\nkind = 'link'\nsite = 'S'\nurl = 'http://CANARY.example'", "default.link.url"),
        ("[default]\nkind = 'link'\nsite = 'S'\nurl = 'https://CANARY.example/{score}'", "default.link.url"),
        ("[default]\nkind = 'link'\nsite = 'S'\nurl = 'https://x.example'\nrate = 1.5", "default.link.rate"),
        ("[default]\nkind = 'link'\nsite = 'S'\nurl = 'https://x.example'\nlowest_score = 4", "lowest_score"),
        ("[default]\nkind = 'sms'", "default"),
        ("[merchants.a]\nkind='trustpilot'\ndomain='x.example'\nencryption_key='CANARY'", "encryption_key"),
        ("[merchant]\na = 'none'", "merchant"),
        ("CANARY", "TOMLDecodeError"),
    ],
)
def test_a_wrong_policy_stops_the_start_by_the_entrys_name(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(MustStop) as stopped:
        read_policies(write(tmp_path, text))
    assert named in str(stopped.value)
    assert "CANARY" not in str(stopped.value)


def test_the_page_gives_the_offer_nothing_that_was_answered() -> None:
    tree = ast.parse(Path(http.__file__).read_text(encoding="utf-8"))
    calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and ast.unparse(n.func) == "self.reviews.link"]
    assert [[ast.unparse(a) for a in (*c.args, *(k.value for k in c.keywords))] for c in calls] == [
        ["self.answers.pool", "page.invitation_id", "page.delivery.get('merchant_id')", "language"]
    ]
    assert list(inspect.signature(Reviews.link).parameters) == [
        "self",
        "pool",
        "invitation_id",
        "merchant_id",
        "language",
    ]
