"""The doctor's look at Kafka's brokers: how many answer, and how they are spoken to."""

import asyncio
from typing import Final

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError
from aiokafka.protocol.metadata import MetadataRequest

from services.chassis.kafka import make_client
from services.chassis.settings import Settings
from services.doctor.findings import Finding, some_of

_REPLICAS: Final = 3
_ANSWERS_WITHIN: Final = 2.0
_LACKS: Final = {
    "plaintext": "neither encrypted nor with log-in",
    "sasl_plaintext": "with log-in, but not encrypted",
    "ssl": "encrypted, but without log-in",
}


async def kafka(settings: Settings) -> list[Finding]:
    """Every broker of the cluster answers this machine, and there are enough of them."""
    client = make_client(settings, answers_within=_ANSWERS_WITHIN)
    try:
        await client.bootstrap()
        silent = await _silent(client)
        brokers = len(client.cluster.brokers())
    finally:
        await client.close()
    answer = [_who_answers(brokers, silent)]
    if (lacks := _LACKS.get(settings.kafka_security)) is not None:
        answer.append(Finding("Kafka access", "look", lacks, "set KVITTERA_KAFKA_SECURITY=sasl_ssl"))
    if brokers < _REPLICAS or settings.kafka_replication < _REPLICAS:
        found = f"{brokers} broker{'s' * (brokers != 1)}, KVITTERA_KAFKA_REPLICATION={settings.kafka_replication}"
        answer.append(Finding("Kafka copies", "look", found, _what_lacks(settings.kafka_replication)))
    return answer


async def _silent(client: AIOKafkaClient) -> list[str]:
    """The addresses of brokers that the cluster names and that do not answer.

    A broker that died a moment ago is still named; all are while most controllers are away.
    """
    silent = []
    for broker in sorted(client.cluster.brokers(), key=lambda known: known.nodeId):
        try:
            async with asyncio.timeout(_ANSWERS_WITHIN):
                await client.send(broker.nodeId, MetadataRequest([]))
        except (KafkaError, OSError, TimeoutError):
            silent.append(f"{broker.host}:{broker.port}")
    return silent


def _who_answers(brokers: int, silent: list[str]) -> Finding:
    if not silent:
        return Finding("Kafka", "well", f"{brokers} broker{' answers' if brokers == 1 else 's answer'}")
    return Finding(
        "Kafka",
        "ill",
        f"{len(silent)} of {brokers} brokers do not answer: {some_of(silent)}",
        "bring them back, and see that this machine reaches the addresses in their advertised.listeners",
    )


def _what_lacks(replication: int) -> str:
    if replication >= _REPLICAS:
        return "bring back the broker that is away, or run 3: no further one may be lost"
    return (
        "in production run 3 brokers and set KVITTERA_KAFKA_REPLICATION=3 before `kvittera topics apply`, which"
        " then sets min.insync.replicas=2: one may be lost"
    )
