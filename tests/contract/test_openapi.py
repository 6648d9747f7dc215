"""The OpenAPI document that is checked in is what the API does."""

from pathlib import Path

import yaml
from jsonschema import Draft202012Validator

from schemas.generate import FOLDER
from services.survey.api.document import document, stale, write


def test_the_checked_in_document_is_what_make_schemas_writes() -> None:
    assert not stale(), "run `make schemas` and commit what changed"


def test_a_missing_or_changed_file_is_stale_until_it_is_written(tmp_path: Path) -> None:
    assert stale(tmp_path)
    write(tmp_path)
    assert not stale(tmp_path)
    (tmp_path / "openapi.yaml").write_text((tmp_path / "openapi.yaml").read_text().replace("413", "414"))
    assert stale(tmp_path)


def test_the_file_is_yaml_of_the_document() -> None:
    assert yaml.safe_load((FOLDER / "openapi.yaml").read_text(encoding="utf-8")) == document()


def test_every_body_is_closed_and_every_schema_is_right() -> None:
    schemas = document()["components"]["schemas"]
    for name in ("NewResponse", "ResponseChange", "Tap", "FollowUps", "InboundMessage"):
        assert schemas[name]["additionalProperties"] is False
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)


def test_every_refusal_is_a_problem_document() -> None:
    for path in document()["paths"].values():
        for operation in path.values():
            refusals = {s: r for s, r in operation["responses"].items() if s >= "400"}
            assert {"401", "503"} <= refusals.keys()
            assert all(list(r["content"]) == ["application/problem+json"] for r in refusals.values())
