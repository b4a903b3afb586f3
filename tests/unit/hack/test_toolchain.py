"""Keys and choices of the toolchain: what is built again, and what is not."""

from dataclasses import replace
from pathlib import Path

import pytest

from hack.cluster.layout import Layout
from hack.cluster.progress import SetupError, require_room
from hack.cluster.toolchain import ON_REQUEST, TOOLS, Tool, chosen, gigabytes_to_build

TOOL = Tool("thing", "v1", "example.com/thing")


@pytest.mark.parametrize(
    "changed",
    [replace(TOOL, version="v2"), replace(TOOL, tags="small"), replace(TOOL, link="-X main.version=v1")],
    ids=["version", "tags", "linker flags"],
)
def test_another_build_has_another_key(changed: Tool):
    assert changed.key != TOOL.key


def test_a_changed_source_has_another_key(tmp_path: Path):
    (tmp_path / "main.go").write_text("package main")
    before = replace(TOOL, sources=tmp_path).key
    (tmp_path / "main.go").write_text("package other")

    assert replace(TOOL, sources=tmp_path).key != before


def test_what_a_build_costs_is_not_part_of_its_key():
    assert replace(TOOL, room=99).key == TOOL.key


def test_a_cluster_needs_neither_kwok_nor_keda():
    assert chosen([]) == list(TOOLS)
    assert not {tool.name for tool in chosen([])} & {tool.name for tool in ON_REQUEST}


def test_keda_brings_its_adapter():
    assert [tool.name for tool in chosen(["keda"])] == ["keda", "keda-adapter"]


def test_an_unknown_tool_is_refused_with_the_known_ones():
    with pytest.raises(SetupError, match=r"'kubeadm'.*hyperkube"):
        chosen(["kubeadm"])


def test_only_what_is_missing_takes_room(tmp_path: Path):
    layout = Layout(tmp_path)
    everything = gigabytes_to_build(layout)
    helm = next(tool for tool in TOOLS if tool.name == "helm")
    built = layout.toolchain / f"helm-{helm.version}-{helm.key}" / "helm"
    built.parent.mkdir(parents=True)
    built.touch()

    assert gigabytes_to_build(layout) == pytest.approx(everything - helm.room)


def test_too_little_room_is_said_before_the_work(tmp_path: Path):
    with pytest.raises(SetupError, match=r"the set-up needs 1000000 GB .* are free"):
        require_room(tmp_path / "not" / "there" / "yet", 1_000_000, "the set-up")
