"""The last thing that happens to the chart: it is taken away, after every other test of this folder."""

from functools import partial

import pytest

from tests.compose_project import until
from tests.in_cluster import Cluster

pytestmark = pytest.mark.timeout(900)


def test_what_is_taken_away_leaves_nothing_but_what_was_there_before(cluster: Cluster) -> None:
    cluster.helm("uninstall", "post", "--wait")
    for label in ("app.kubernetes.io/instance=post", "owner=helm"):
        kinds = "all,pdb,networkpolicy,cronjob,configmap,secret"
        asked = ("get", kinds, "-l", label, "-o", "name")
        until(partial(lambda *words: cluster.kubectl(*words) == "", *asked), f"nothing is {label}")
    assert "secret/kvittera" in cluster.kubectl("get", "secret", "-o", "name")
