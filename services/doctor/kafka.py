"""The doctor's look at Kafka's brokers: how many answer, and how they are spoken to."""

from typing import Final

from services.chassis.kafka import make_admin
from services.chassis.settings import Settings
from services.doctor.findings import Finding

_REPLICAS: Final = 3
_LACKS: Final = {
    "plaintext": "neither encrypted nor with log-in",
    "sasl_plaintext": "with log-in, but not encrypted",
    "ssl": "encrypted, but without log-in",
}


async def kafka(settings: Settings) -> list[Finding]:
    """The brokers answer, and there are enough of them."""
    admin = make_admin(settings)
    try:
        await admin.start()
        brokers = len((await admin.describe_cluster())["brokers"])
    finally:
        await admin.close()
    answer = [Finding("Kafka", "well", f"{brokers} broker{' answers' if brokers == 1 else 's answer'}")]
    if (lacks := _LACKS.get(settings.kafka_security)) is not None:
        answer.append(Finding("Kafka access", "look", lacks, "set KVITTERA_KAFKA_SECURITY=sasl_ssl"))
    if brokers < _REPLICAS or settings.kafka_replication < _REPLICAS:
        answer.append(
            Finding(
                "Kafka copies",
                "look",
                f"{brokers} broker{'s' * (brokers != 1)}, KVITTERA_KAFKA_REPLICATION={settings.kafka_replication}",
                "in production run 3 brokers and set KVITTERA_KAFKA_REPLICATION=3 before `kvittera topics apply`, which"
                " then sets min.insync.replicas=2: one may be lost",
            )
        )
    return answer
