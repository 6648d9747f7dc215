"""What the guides tell to write is taken by what reads it."""

import re
import subprocess
from pathlib import Path

from schemas.cloudevents import decode, read_record
from schemas.delivery import DeliveryCompleted
from services.aggregator.counting.cuts import load_cuts
from services.notifier.channels.providers import read_providers
from services.notifier.policies import parse_policies


def written(repository: Path, guide: str, folder: Path) -> Path:
    """The one TOML file of a guide."""
    text = (repository / "docs/how-to" / guide).read_text(encoding="utf-8")
    [block] = re.findall(r"^ *```toml\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
    file = folder / "written.toml"
    file.write_text(re.sub(r"^   ", "", block, flags=re.MULTILINE), encoding="utf-8")
    return file


def test_the_gateway_of_the_guide_is_one(repository: Path, tmp_path: Path) -> None:
    [gateway] = read_providers(written(repository, "add-a-channel.md", tmp_path)).provider
    assert gateway.name == "gateway"


def test_the_cuts_of_the_guide_are_counted(repository: Path, tmp_path: Path) -> None:
    cuts = load_cuts(written(repository, "add-a-cut.md", tmp_path))
    named = [cut.name for cut in cuts if not cut.of_series]
    assert named[-2:] == ["merchant.method", "postcode_prefix"]


def test_the_agreement_of_the_guide_is_a_policy(repository: Path, tmp_path: Path) -> None:
    text = written(repository, "onboard-a-merchant.md", tmp_path).read_text(encoding="utf-8")
    [policy] = parse_policies({"merchants.v2.toml": text})
    assert policy.id.endswith("merchants.v2")


def test_the_delivery_of_the_staging_guide_keeps_the_contract(repository: Path) -> None:
    text = (repository / "docs/how-to/stage-in-a-cluster.md").read_text(encoding="utf-8")
    [commands] = re.findall(r"^(id=STAGING-1\n.*?) \|\n +kafka-console-producer", text, re.MULTILINE | re.DOTALL)
    printed = subprocess.run(["bash", "-c", commands], capture_output=True, check=True, timeout=30).stdout
    key, _, value = printed.rstrip(b"\n").partition(b"|")

    read = decode(DeliveryCompleted, read_record(value, (), key))

    assert read.delivery.delivery_id == key.decode() == "STAGING-1"
    assert [channel.address for channel in read.pii.channels] == ["you@nordposten.example"]
