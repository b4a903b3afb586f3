"""One leader at a time, a hand-over that waits for no Lease to run out, and an end when leadership is lost."""

from pathlib import Path

import pytest

from tests.support.kubectl import Kubectl
from tests.support.operator_process import LEASE, running

pytestmark = pytest.mark.cluster

SHORT = 8
"""Seconds of a Lease that a test waits for: a busy machine must not lose it by accident."""


def test_a_standby_is_alive_and_takes_over_when_the_leader_stops(namespace: Kubectl, tmp_path: Path) -> None:
    with running(tmp_path / "first", namespace.namespace, lease_seconds=3600) as first:
        first.wait_until_leading()
        with running(tmp_path / "second", namespace.namespace, lease_seconds=3600) as second:
            assert second.ask("/health/live") == second.ask("/health/ready") == 200
            assert second.metric("embedplane_operator_leading") == 0

            assert first.terminate() == 0
            second.wait_until_leading()  # long before the Lease would run out


def test_a_standby_takes_over_when_the_leader_is_killed(namespace: Kubectl, tmp_path: Path) -> None:
    with running(tmp_path / "first", namespace.namespace, SHORT) as first:
        first.wait_until_leading()
        with running(tmp_path / "second", namespace.namespace, SHORT) as second:
            first.crash()
            second.wait_until_leading()


def test_a_standby_ends_at_once_when_told_to(namespace: Kubectl, tmp_path: Path) -> None:
    with running(tmp_path / "first", namespace.namespace) as first:
        first.wait_until_leading()
        with running(tmp_path / "second", namespace.namespace) as second:
            assert second.terminate() == 0
        assert first.metric("embedplane_operator_leading") == 1


def test_a_leader_that_lost_its_lease_ends_with_an_error(namespace: Kubectl, tmp_path: Path) -> None:
    with running(tmp_path, namespace.namespace, SHORT) as operator:
        operator.wait_until_leading()
        stolen = {
            "spec": {
                "holderIdentity": "thief",
                "leaseDurationSeconds": 3600,
                "renewTime": "2026-11-23T12:00:00.000000Z",
            }
        }

        namespace.patch("lease", LEASE, stolen)

        assert operator.wait_for_exit() == 3
        assert "was not renewed" in operator.log.read_text()
