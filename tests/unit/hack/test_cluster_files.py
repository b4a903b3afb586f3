"""What the local cluster's components are told."""

import json
from pathlib import Path

import pytest

from hack.cluster.configuration import ClusterFiles, write_cluster, write_node
from hack.cluster.layout import CONTROL_PLANE, GPU_NODE, NODES, Layout
from hack.cluster.lifecycle import named
from hack.cluster.progress import SetupError


def kubelet(layout: Layout, node_folder: str) -> dict[str, object]:
    return json.loads((layout.state / node_folder / "kubelet.json").read_text())


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout(tmp_path)
    for node in NODES:
        made.node(node).mkdir(parents=True)
        write_node(made, node)
    write_cluster(made)
    return made


def test_only_the_gpu_node_is_tainted(layout: Layout):
    assert kubelet(layout, CONTROL_PLANE.name)["registerWithTaints"] == []
    assert kubelet(layout, GPU_NODE.name)["registerWithTaints"] == [
        {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}
    ]


def test_volumes_of_the_default_class_are_shared_and_those_of_root_bound_to_a_node(layout: Layout):
    classes = json.loads(ClusterFiles.of(layout).storage.read_text())["storageClassConfigs"]

    assert classes["local-path"]["sharedFileSystemPath"]
    folders = {each["node"]: each["paths"][0] for each in classes["local-path-root"]["nodePathMap"]}
    assert folders.keys() == {node.name for node in NODES}
    assert len(set(folders.values())) == len(NODES)


def test_nothing_is_left_to_fill_in(layout: Layout):
    assert "@" not in ClusterFiles.of(layout).prometheus.read_text().replace("@timestamp", "")


def test_a_name_means_a_component_on_every_node_or_on_the_named_one(layout: Layout):
    assert [each.full_name for each in named(layout, ["kubelet"])] == ["kubelet@cpu0", "kubelet@gpu0"]
    assert [each.full_name for each in named(layout, ["kubelet@gpu0", "etcd"])] == ["kubelet@gpu0", "etcd@cpu0"]


def test_an_unknown_component_is_refused_with_the_known_ones(layout: Layout):
    with pytest.raises(SetupError, match=r"'dns'.*etcd@cpu0"):
        named(layout, ["dns"])
