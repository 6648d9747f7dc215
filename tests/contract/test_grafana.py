"""What Grafana reads, held to what it documents: provisioning files, and the dashboards' JSON model.

https://grafana.com/docs/grafana/latest/administration/provisioning/
https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/
"""

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

_PROVIDER = {
    "name", "orgId", "folder", "folderUid", "type", "disableDeletion", "updateIntervalSeconds", "allowUiUpdates",
    "options",
}  # fmt: skip
_SOURCE = {
    "name", "type", "uid", "access", "orgId", "url", "user", "database", "basicAuth", "basicAuthUser",
    "withCredentials", "isDefault", "jsonData", "secureJsonData", "version", "editable",
}  # fmt: skip
_UNITS = {"short", "none", "percentunit", "percent", "s", "ms", "reqps", "ops", "bytes", "decbytes"}
_OWN = {"__rate_interval", "__interval", "__range"}
"""Variables that Grafana sets itself."""

Dashboard = dict[str, Any]


@pytest.fixture(scope="module")
def grafana(repository: Path) -> Path:
    return repository / "deploy/grafana"


@pytest.fixture(scope="module")
def compose(repository: Path) -> dict[str, Any]:
    services: dict[str, Any] = yaml.safe_load((repository / "docker-compose.yml").read_text(encoding="utf-8"))[
        "services"
    ]
    return services


@pytest.fixture(scope="module")
def dashboards(grafana: Path) -> list[Dashboard]:
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted((grafana / "dashboards").glob("*.json"))]
    assert len(found) == 3
    return found


def provisioned(grafana: Path, kind: str) -> list[dict[str, Any]]:
    [file] = (grafana / "provisioning" / kind).iterdir()
    told = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert told.pop("apiVersion") == 1
    [(name, entries)] = told.items()
    assert name == {"dashboards": "providers", "datasources": "datasources"}[kind]
    return list(entries)


def overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    return all(one[at] < other[at] + other[long] and other[at] < one[at] + one[long] for at, long in ("xw", "yh"))


def test_the_provider_reads_the_folder_that_compose_mounts(grafana: Path, compose: dict[str, Any]) -> None:
    [provider] = provisioned(grafana, "dashboards")
    assert provider.keys() - _PROVIDER == set()
    assert provider["type"] == "file"
    mounted = dict(reversed(volume.removesuffix(":ro").split(":")) for volume in compose["grafana"]["volumes"])
    assert mounted[provider["options"]["path"]] == "./deploy/grafana/dashboards"
    assert mounted["/etc/grafana/provisioning"] == "./deploy/grafana/provisioning"


def test_the_data_source_is_the_prometheus_of_compose(grafana: Path, compose: dict[str, Any]) -> None:
    [source] = provisioned(grafana, "datasources")
    assert source.keys() - _SOURCE == set()
    assert (source["type"], source["access"], source["isDefault"]) == ("prometheus", "proxy", True)
    [_, host, port] = source["url"].replace("//", "").split(":")
    assert host in compose["grafana"]["depends_on"]
    assert compose[host]["ports"] == [f"127.0.0.1:{port}:{port}"]


def test_rates_are_drawn_over_spans_that_fit_how_often_prometheus_reads(grafana: Path) -> None:
    [source] = provisioned(grafana, "datasources")
    reads = yaml.safe_load((grafana.parent / "prometheus/prometheus.yml").read_text(encoding="utf-8"))["global"]
    assert source["jsonData"]["timeInterval"] == reads["scrape_interval"] == "5s"


def test_every_dashboard_has_a_place_of_its_own(dashboards: list[Dashboard]) -> None:
    for name in ("uid", "title"):
        assert len({d[name] for d in dashboards}) == len(dashboards)
    for dashboard in dashboards:
        assert re.fullmatch(r"[a-zA-Z0-9_-]{1,40}", dashboard["uid"])
        assert "id" not in dashboard, "a number of one Grafana is another dashboard's in the next"
        assert dashboard["schemaVersion"] == 39


def test_panels_have_numbers_of_their_own_and_lie_beside_each_other(dashboards: list[Dashboard]) -> None:
    for dashboard in dashboards:
        panels = dashboard["panels"]
        assert len({panel["id"] for panel in panels}) == len(panels)
        assert [p["title"] for p in panels if p["gridPos"]["x"] + p["gridPos"]["w"] > 24] == []
        for one, other in combinations(panels, 2):
            assert not overlap(one["gridPos"], other["gridPos"]), (one["title"], other["title"])


def test_every_panel_asks_the_chosen_prometheus_and_no_variable_is_unknown(
    grafana: Path, dashboards: list[Dashboard]
) -> None:
    kinds = {source["type"] for source in provisioned(grafana, "datasources")}
    for dashboard in dashboards:
        variables = {v["name"]: v for v in dashboard["templating"]["list"]}
        chosen = {"${" + name + "}": v["query"] for name, v in variables.items() if v["type"] == "datasource"}
        for panel in dashboard["panels"]:
            sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
            assert {chosen[source["uid"]] for source in sources} == {source["type"] for source in sources} <= kinds
        used = set(re.findall(r"\$\{?(\w+)", json.dumps(dashboard)))
        assert used - variables.keys() <= _OWN
        assert variables.keys() <= used


def test_every_panel_is_of_a_kind_and_unit_that_grafana_knows(dashboards: list[Dashboard]) -> None:
    for dashboard in dashboards:
        for panel in dashboard["panels"]:
            assert panel["type"] == "timeseries"
            assert panel["fieldConfig"]["defaults"]["unit"] in _UNITS, panel["title"]
            legend, tooltip = (panel["options"][part] for part in ("legend", "tooltip"))
            assert legend.keys() == {"showLegend", "displayMode", "placement", "calcs"}, "Grafana's type wants all four"
            assert (legend["showLegend"], tooltip) == (True, {"mode": "multi", "sort": "desc"})
            references = [target["refId"] for target in panel["targets"]]
            assert references
            assert len(set(references)) == len(references)
