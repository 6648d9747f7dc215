"""Topics with three copies are made so that one broker may be lost, and told of where they are not."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.admin import NewTopic

from schemas.topics import CARDS, RESPONSE_RECORDED, TopicCard
from services.chassis import topic_admin
from services.chassis.failures import MustStop
from services.chassis.settings import Settings
from services.chassis.topic_admin import Difference, apply_topics, compare_topics
from services.doctor.topics import topics

CARD = CARDS[RESPONSE_RECORDED]
MIN, UNCLEAN = "min.insync.replicas", "unclean.leader.election.enable"


class Cluster:
    """Holds one topic, as many copies of each of its partitions as told; `code` is what it answers about settings."""

    def __init__(self, copies: int, config: Mapping[str, str], *, there: bool = True, code: int = 0) -> None:
        self.copies, self.config, self.there, self.code = copies, config, there, code
        self.made: list[NewTopic] = []

    async def list_topics(self) -> list[str]:
        return [CARD.name] if self.there else []

    async def create_topics(self, new: list[NewTopic]) -> Any:
        self.made, self.there = new, True
        return SimpleNamespace(topic_errors=[(CARD.name, 0, None)])

    async def describe_topics(self, names: list[str]) -> list[dict[str, Any]]:
        copies = list(range(1, self.copies + 1))
        parts = [{"partition": n, "leader": 1, "replicas": copies, "isr": copies} for n in range(CARD.partitions)]
        return [{"topic": name, "partitions": parts} for name in names]

    async def describe_configs(self, asked: list[Any]) -> list[Any]:
        entries: list[tuple[Any, ...]] = [(name, value, False, 1, False, []) for name, value in self.config.items()]
        told = [(self.code, None, 2, one.name, [] if self.code else entries) for one in asked]
        return [SimpleNamespace(resources=told)]

    async def close(self) -> None:
        """Nothing is open."""


def settings(replication: int = 3) -> Settings:
    return Settings(sealing_key="5e" * 32, kafka_replication=replication, kafka_bootstrap="kafka.example:9092")


async def told(
    monkeypatch: pytest.MonkeyPatch, cluster: Cluster, replication: int = 3, card: TopicCard = CARD
) -> list[tuple[str, str, str]]:
    of(cluster, monkeypatch)
    return [(d.what, d.expected, d.found) for d in await compare_topics(settings(replication), [card])]


def of(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    async def opened(_: Settings) -> Cluster:
        return cluster

    monkeypatch.setattr(topic_admin, "_open", opened)


@pytest.mark.parametrize(
    ("copies", "config", "wrong"),
    [
        (3, {MIN: "2", UNCLEAN: "false"}, []),
        (3, {MIN: "1", UNCLEAN: "false"}, [(MIN, "2", "1")]),
        (3, {}, [(MIN, "2", "1")]),  # what is not told is Kafka's own default
        (3, {MIN: "3"}, [(MIN, "2", "3")]),  # no broker could be restarted
        (4, {MIN: "3"}, []),
        (4, {MIN: "4"}, [(MIN, "2 to 3", "4")]),
        (2, {MIN: "1"}, []),
        (1, {MIN: "2"}, [(MIN, "at most 1", "2")]),  # every write would be refused
        (1, {MIN: "1", UNCLEAN: "true"}, [(UNCLEAN, "false", "true")]),
        (3, {MIN: "1", UNCLEAN: "true"}, [(MIN, "2", "1"), (UNCLEAN, "false", "true")]),
    ],
)
async def test_copies_that_could_lose_what_was_acknowledged_or_take_nothing_are_told(
    monkeypatch: pytest.MonkeyPatch, copies: int, config: dict[str, str], wrong: list[tuple[str, str, str]]
) -> None:
    cluster = Cluster(copies, {**CARD.config(), **config})
    assert await told(monkeypatch, cluster, replication=1) == wrong


async def test_the_copies_that_a_topic_has_count_and_not_those_that_were_wished_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cluster = Cluster(1, {**CARD.config(), MIN: "1"})
    assert await told(monkeypatch, cluster, replication=3) == [("replicas", "3", "1")]


@pytest.mark.parametrize(("replication", "wanted"), [(1, None), (2, None), (3, "2"), (5, "2")])
async def test_a_topic_of_three_copies_is_made_so_that_two_must_have_a_record(
    monkeypatch: pytest.MonkeyPatch, replication: int, wanted: str | None
) -> None:
    cluster = Cluster(replication, {}, there=False)
    of(cluster, monkeypatch)
    await apply_topics(settings(replication), [CARD])
    [made] = cluster.made
    assert made.topic_configs.get(MIN) == wanted
    assert made.topic_configs["retention.ms"] == "34560000000"


async def test_who_is_not_told_of_the_configuration_is_told_which_right_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MustStop, match=r"how response\.recorded\.v1 is configured; grant it Describe and Describe"):
        await told(monkeypatch, Cluster(3, {}, code=29))


async def test_the_doctor_says_by_which_command_a_topic_is_made_safe(monkeypatch: pytest.MonkeyPatch) -> None:
    of(Cluster(3, {**CARD.config(), MIN: "1", UNCLEAN: "true"}), monkeypatch)
    begin = (
        "kafka-configs.sh --bootstrap-server kafka.example:9092 --alter --entity-type topics"
        " --entity-name response.recorded.v1 --add-config "
    )
    assert [(f.what, f.verdict, f.found, f.do) for f in await topics(settings(), [CARD])] == [
        (
            "topic response.recorded.v1",
            "ill",
            "min.insync.replicas should be 2, is 1",
            f"{begin}min.insync.replicas=2",
        ),
        (
            "topic response.recorded.v1",
            "ill",
            "unclean.leader.election.enable should be false, is true",
            f"{begin}unclean.leader.election.enable=false",
        ),
    ]


@pytest.mark.parametrize(
    ("difference", "do"),
    [
        (("partitions", "12", "6"), "docs/how-to/raise-partitions.md says, or set KVITTERA_KAFKA_PARTITIONS=6"),
        (("partitions", "6", "12"), "set KVITTERA_KAFKA_PARTITIONS=12: partitions cannot be taken away"),
        (("partitions", "1", "6"), "its order needs one: make the topic anew while nobody writes or reads it"),
        (("replicas", "3", "1"), "kafka-reassign-partitions.sh, or set KVITTERA_KAFKA_REPLICATION to what it has"),
        (("min.insync.replicas", "at most 1", "2"), " --add-config min.insync.replicas=1"),
        (("min.insync.replicas", "2 to 3", "4"), " --add-config min.insync.replicas=2"),
        (("retention.ms", "1000", "unset"), " --add-config retention.ms=1000"),
    ],
)
async def test_each_difference_has_its_own_cure(
    monkeypatch: pytest.MonkeyPatch, difference: tuple[str, str, str], do: str
) -> None:
    async def compared(*_: object) -> list[Difference]:
        return [Difference(CARD.name, *difference)]

    monkeypatch.setattr("services.doctor.topics.compare_topics", compared)
    [found] = await topics(settings(), [CARD])
    assert found.do.endswith(do)


async def test_topics_that_differ_alike_are_one_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    async def compared(*_: object) -> list[Difference]:
        return [Difference(f"t{n}.v1", MIN, "2", "1") for n in range(5)]

    monkeypatch.setattr("services.doctor.topics.compare_topics", compared)
    [found] = await topics(settings(), [CARD])
    assert (found.what, found.found) == (
        "5 topics",
        "min.insync.replicas should be 2, is 1: t0.v1, t1.v1, t2.v1 and 2 more",
    )
    assert "--entity-name TOPIC " in found.do
