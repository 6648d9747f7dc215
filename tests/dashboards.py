"""The panels of the dashboards as Prometheus is asked for them."""

import json
import re
from pathlib import Path

import yaml

DEPLOY = Path(__file__).resolve().parents[1] / "deploy"


def panels() -> dict[str, list[tuple[str, set[str]]]]:
    """The queries of each panel by its title, and the labels that name their lines; rules are written out."""
    rules = yaml.safe_load((DEPLOY / "prometheus/rules/kvittera.yml").read_text(encoding="utf-8"))["groups"]
    recorded = {r["record"]: r["expr"] for group in rules for r in group["rules"] if "record" in r}
    found: dict[str, list[tuple[str, set[str]]]] = {}
    for path in sorted((DEPLOY / "grafana/dashboards").glob("*.json")):
        for panel in json.loads(path.read_text(encoding="utf-8"))["panels"]:
            for target in panel["targets"]:
                asked = target["expr"].replace("$__rate_interval", "1m")
                asked = re.sub(r"kvittera:[\w:]+", lambda name: f"({recorded[name[0]]})", asked)
                named = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
                found.setdefault(panel["title"], []).append((asked, named))
    return found
