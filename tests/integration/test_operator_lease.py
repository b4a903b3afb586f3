"""One leader at a time, hand-over without a gap worth mentioning, and an end when leadership is lost."""

from pathlib import Path

import pytest

from tests.support.kubectl import Kubectl
from tests.support.operator_process import LEASE, running

pytestmark = pytest.mark.cluster


def test_a_standby_is_alive_and_takes_over_when_the_leader_stops(namespace: Kubectl, tmp_path: Path) -> None:
    with running(tmp_path / "first", namespace.namespace) as first:
        first.wait_until_leading()
        with running(tmp_path / "second", namespace.namespace) as second:
            assert second.ask("/health/live") == second.ask("/health/ready") == 200
            assert second.metric("embedplane_operator_leading") == 0

            assert first.terminate() == 0
            second.wait_until_leading(within=5)


def test_a_standby_takes_over_when_the_leader_is_killed(namespace: Kubectl, tmp_path: Path) -> None:
    with running(tmp_path / "first", namespace.namespace) as first:
        first.wait_until_leading()
        with running(tmp_path / "second", namespace.namespace) as second:
            first.kill()
            second.wait_until_leading(within=30)


def test_a_standby_ends_at_once_when_told_to(namespace: Kubectl, tmp_path: Path) -> None:
    with running(tmp_path / "first", namespace.namespace) as first:
        first.wait_until_leading()
        with running(tmp_path / "second", namespace.namespace) as second:
            assert second.terminate() == 0
        assert first.metric("embedplane_operator_leading") == 1


def test_a_leader_that_lost_its_lease_ends_with_an_error(namespace: Kubectl, tmp_path: Path) -> None:
    with running(tmp_path, namespace.namespace) as operator:
        operator.wait_until_leading()
        stolen = {
            "spec": {
                "holderIdentity": "thief",
                "leaseDurationSeconds": 3600,
                "renewTime": "2026-11-23T12:00:00.000000Z",
            }
        }

        namespace.patch("lease", LEASE, stolen)

        assert operator.wait_for_exit(within=30) == 3
        assert "was not renewed" in operator.log.read_text()
