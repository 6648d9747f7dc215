"""What the guides give to Kafka's and PostgreSQL's keepers fits the topic cards, the chart and the doctor."""

import re
import subprocess
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from schemas.topics import CARDS
from services.chassis.settings import Settings
from services.chassis.topic_copies import config_of_copies, unsafe_copies
from services.doctor.rights import GROUPS

Right = tuple[str, str, str, str]
"""Account, kind, prefix or name, operation."""


@pytest.fixture
def manifests(repository: Path) -> dict[str, dict[str, Any]]:
    """The guide's manifests by kind; the chart's values have none."""
    guide = (repository / "docs/how-to/use-strimzi-and-cloudnativepg.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```yaml\n(.*?)^```", guide, re.MULTILINE | re.DOTALL)
    told = [yaml.safe_load(block) for block in blocks]
    return {one.get("kind", "values"): one for one in told}


def of_strimzi(user: dict[str, Any]) -> set[Right]:
    return {
        (user["metadata"]["name"], acl["resource"]["type"], acl["resource"]["name"], operation)
        for acl in user["spec"]["authorization"]["acls"]
        for operation in acl["operations"]
        if acl["resource"]["patternType"] == "prefix"
    }


def of_commands(repository: Path) -> Iterator[list[str]]:
    """The commands of the guide as a shell would call them."""
    guide = (repository / "docs/how-to/connect-your-kafka.md").read_text(encoding="utf-8")
    [script] = re.findall(r"^   ```sh\n(   acls=.*?)^   ```", guide, re.MULTILINE | re.DOTALL)
    shown = 'kafka-acls.sh() { printf "%s " "$@"; echo; }\n' + script
    said = subprocess.run(["bash", "-euc", shown], capture_output=True, check=True, text=True, timeout=30).stdout
    yield from (line.split() for line in said.splitlines())


def granted(command: list[str]) -> set[Right]:
    pairs = list(pairwise(command))
    values = {name: [value for option, value in pairs if option == name] for name in command if name.startswith("--")}
    [account] = values["--allow-principal"]
    return {
        (account.removeprefix("User:"), kind, name, operation)
        for kind in ("topic", "group")
        for name in values.get(f"--{kind}", [])
        for operation in values["--operation"]
    }


def test_the_account_may_do_with_each_topic_and_group_what_the_services_do(
    manifests: dict[str, dict[str, Any]],
) -> None:
    rights = of_strimzi(manifests["KafkaUser"])
    for topic in CARDS:
        may = {operation for _, kind, prefix, operation in rights if kind == "topic" and topic.startswith(prefix)}
        assert may == {"Create", "DescribeConfigs", "Read", "Write"}, topic
    for group in GROUPS:
        assert {o for _, kind, prefix, o in rights if kind == "group" and group.startswith(prefix)} == {"Read"}, group
    for kind, prefix in {(kind, prefix) for _, kind, prefix, _ in rights}:
        assert any(name.startswith(prefix) for name in (CARDS if kind == "topic" else GROUPS)), f"{prefix}: what for"


def test_the_commands_grant_what_the_manifest_grants_and_upstream_its_topics(
    manifests: dict[str, dict[str, Any]], repository: Path
) -> None:
    rights = set().union(*(granted(command) for command in of_commands(repository)))
    assert {r for r in rights if r[0] == "kvittera"} == of_strimzi(manifests["KafkaUser"])
    from_upstream = {name for name, card in CARDS.items() if "upstream" in card.producers}
    assert {r for r in rights if r[0] != "kvittera"} == {("upstream", "topic", name, "Write") for name in from_upstream}
    for command in of_commands(repository):
        assert ("prefixed" in command) == ("User:kvittera" in command)


def test_the_topic_of_the_guide_is_as_its_card_says_and_safe(manifests: dict[str, dict[str, Any]]) -> None:
    topic = manifests["KafkaTopic"]
    card, spec = CARDS[topic["metadata"]["name"]], topic["spec"]
    config = {name: str(value) for name, value in spec["config"].items()}
    assert config == card.config() | config_of_copies(spec["replicas"])
    assert unsafe_copies(spec["replicas"], config) == []
    assert spec["partitions"] == card.partitions


def test_the_database_of_the_guide_is_one_that_the_doctor_finds_well(manifests: dict[str, dict[str, Any]]) -> None:
    spec = manifests["Cluster"]["spec"]
    assert spec["imageName"].endswith(":18")
    assert spec["postgresql"]["synchronous"] == {"method": "any", "number": 1, "dataDurability": "required"}
    assert spec["instances"] - spec["postgresql"]["synchronous"]["number"] >= 2, "one may be lost and answers go on"
    # Two processes of each of the three services, as the chart starts them.
    needed = 6 * (Settings(sealing_key="5e" * 32).postgres_connections + 4)
    assert int(spec["postgresql"]["parameters"]["max_connections"]) >= needed
    assert {type(value) for value in spec["postgresql"]["parameters"].values()} == {str}, "the operator takes no other"


def test_the_guides_names_belong_together(manifests: dict[str, dict[str, Any]], repository: Path) -> None:
    guide = (repository / "docs/how-to/use-strimzi-and-cloudnativepg.md").read_text(encoding="utf-8")
    user, topic, database, values = (manifests[kind] for kind in ("KafkaUser", "KafkaTopic", "Cluster", "values"))
    cluster, namespace = user["metadata"]["labels"]["strimzi.io/cluster"], user["metadata"]["namespace"]
    assert topic["metadata"]["labels"] == user["metadata"]["labels"]
    kafka = values["kafka"]
    assert kafka["bootstrap"] == f"{cluster}-kafka-bootstrap.{namespace}.svc:9093"
    assert kafka["username"] == user["metadata"]["name"]
    assert kafka["saslMechanism"].lower() == user["spec"]["authentication"]["type"]
    assert kafka["replication"] == topic["spec"]["replicas"]
    name, where = database["metadata"]["name"], database["metadata"]["namespace"]
    assert values["networkPolicy"] == {"kafkaNamespace": namespace, "postgresNamespace": where}
    for command in (
        f"kubectl -n {namespace} get secret {user['metadata']['name']} ",
        f"kubectl -n {where} get secret {name}-ca ",
        f"kubectl -n {where} get secret {name}-app ",
        f"kubectl -n {namespace} get secret {cluster}-cluster-ca-cert ",
    ):
        assert command in guide
