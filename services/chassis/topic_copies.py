"""How many copies of a record there must be before Kafka says that it has it, and which copy may lead on.

We write with acks=all, which waits for every copy in sync, and for no fewer than `min.insync.replicas`. At 1, Kafka's
own default, the leader alone is enough: what it acknowledged is lost with its disk. Where a copy that was not in sync
may lead, everything that it lacks is lost (hazards 30 and 31).
"""

from collections.abc import Mapping
from typing import Final

MIN_IN_SYNC: Final = "min.insync.replicas"
UNCLEAN: Final = "unclean.leader.election.enable"
ENOUGH: Final = 3
"""With so many copies one broker may be lost, and no record."""


def config_of_copies(replication: int) -> dict[str, str]:
    """What a new topic of so many copies is made with, besides what its card says."""
    return {MIN_IN_SYNC: "2"} if replication >= ENOUGH else {}


def unsafe_copies(replicas: int, config: Mapping[str, str | None]) -> list[tuple[str, str, str]]:
    """What is wrong about a topic's copies, as name, expected and found.

    A value that Kafka did not tell is taken for Kafka's default.
    """
    found = []
    in_sync = int(config.get(MIN_IN_SYNC) or 1)
    if replicas >= ENOUGH and not 1 < in_sync < replicas:  # with all of them no broker may even be restarted
        found.append((MIN_IN_SYNC, "2" if replicas == ENOUGH else f"2 to {replicas - 1}", str(in_sync)))
    elif in_sync > replicas:
        found.append((MIN_IN_SYNC, f"at most {replicas}", str(in_sync)))
    if config.get(UNCLEAN) == "true":
        found.append((UNCLEAN, "false", "true"))
    return found
