"""A second release over all namespaces is refused where helm can see the first, and only there."""

from typing import Any

import pytest

from tests.chart.conftest import Helm, Manifest, Rendered


@pytest.fixture(scope="module")
def first(helm: Helm) -> Rendered:
    return helm.template()


def installed(rendered: Rendered, annotated: bool = True) -> list[Manifest]:
    """The cluster-wide roles as they stand in the cluster; those of Argo CD have no annotations of Helm."""
    annotations = {"meta.helm.sh/release-name": "embedplane", "meta.helm.sh/release-namespace": "embedplane-system"}
    return [
        {**role, "metadata": {**role["metadata"], **({"annotations": annotations} if annotated else {})}}
        for role in rendered.of_kind("ClusterRole")
    ]


def test_a_release_alone_is_installed(helm: Helm) -> None:
    assert helm.beside([]).of_kind("Deployment")


@pytest.mark.parametrize("annotated", [True, False])
def test_a_second_release_is_refused_with_the_name_of_the_first(helm: Helm, first: Rendered, annotated: bool) -> None:
    with pytest.raises(AssertionError, match=r"The release embedplane.*all namespaces already") as refused:
        helm.beside(installed(first, annotated), "--namespace", "elsewhere", release="second")
    assert "watchNamespaces" in str(refused.value)


@pytest.mark.parametrize("values", [{}, {"fullnameOverride": "renamed"}])
def test_the_first_release_is_upgraded(helm: Helm, first: Rendered, values: dict[str, Any]) -> None:
    assert helm.beside(installed(first), **values).of_kind("Deployment")


def test_a_release_with_namespaces_of_its_own_stands_beside_another_of_that_kind(helm: Helm) -> None:
    blue = helm.template(watchNamespaces=["blue"])

    assert helm.beside(installed(blue), "--namespace", "green", release="green", watchNamespaces=["green"])
    assert helm.beside(installed(blue), "--namespace", "all", release="all").of_kind("Deployment")


def test_rendering_without_a_cluster_refuses_nothing(helm: Helm) -> None:
    assert helm.template("--namespace", "elsewhere", release="second").of_kind("ClusterRole")
