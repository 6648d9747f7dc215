"""The commands that let a partner read its topic on a secured broker, and nothing else."""

from services.cli.partners import access


def test_a_partner_may_read_its_own_topic_in_its_own_groups() -> None:
    start = "kafka-acls.sh --bootstrap-server kafka:9092 --add --allow-principal User:partner-fjallbod"
    assert access("fjallbod", "kafka:9092", "--add")[:2] == [
        f"{start} --operation Read --operation Describe --topic satisfaction.partner.fjallbod.v1",
        f"{start} --operation Read --group partner-fjallbod. --resource-pattern-type prefixed",
    ]


def test_what_was_allowed_is_what_is_taken_away() -> None:
    added, removed = access("a", "kafka:9092", "--add"), access("a", "kafka:9092", "--remove")
    assert [line.replace("--remove --force", "--add") for line in removed] == added[:2]
