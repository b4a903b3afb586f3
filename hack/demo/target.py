"""Which cluster the demo and the tests use, and what has to be there before the chart is installed."""

import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hack import environment
from hack.cluster import lifecycle, toolchain
from hack.cluster.debian import CLUSTER_PACKAGES, IMAGE_PACKAGES, install_missing
from hack.cluster.layout import HOST_ADDRESS, PROMETHEUS, REGISTRY, REPOSITORY, Layout
from hack.cluster.progress import SetupError, require_room, say, step
from hack.images.builders import docker_answers
from hack.images.catalog import GPU_IMITATION
from hack.images.imitation import build_imitation
from hack.images.publish import build_all, gigabytes_to_build, load_into_kind, push_all

KIND_CLUSTER = "embedplane"
KIND_MANIFEST = REPOSITORY / "hack" / "demo" / "prometheus.yaml"
KIND_PROMETHEUS = "http://prometheus.monitoring:9090"

# What stays after a first set-up: binaries, build storage, registry, the images on the nodes.
SETTLED_GIGABYTES = 16
CHART_NAMES = {GPU_IMITATION.name: "gpuServer"}
"""What the chart's values call an image, where that is not its name."""
Values = dict[str, Any]


@dataclass(frozen=True)
class Target:
    """One cluster, and how this machine and its pods see each other."""

    kind: str
    """`context` (EMBEDPLANE_KUBECONTEXT), `kind`, or `local` (hack/cluster)."""
    kubeconfig: Path
    context: str
    binaries: Path
    host_address: str
    """This machine, as pods see it."""
    prometheus: str = ""

    @property
    def is_ours(self) -> bool:
        return self.kind == "local"

    @property
    def environment(self) -> dict[str, str]:
        """Return what kubectl and helm need to meet this cluster."""
        return environment.extended(
            KUBECONFIG=str(self.kubeconfig), PATH=f"{self.binaries}:{environment.search_path()}"
        )


def choose_target(layout: Layout) -> Target:
    """Return the cluster of EMBEDPLANE_KUBECONTEXT, else kind where Docker runs, else the local one."""
    default = environment.kubeconfig()
    if context := environment.chosen_context():
        host = environment.host_address()
        return Target("context", default, context, layout.binaries, host, environment.prometheus())
    if docker_answers() and shutil.which("kind"):
        return Target("kind", default, f"kind-{KIND_CLUSTER}", layout.binaries, _docker_gateway(), KIND_PROMETHEUS)
    return Target("local", layout.kubeconfig, "embedplane", layout.binaries, HOST_ADDRESS, PROMETHEUS)


def prepare(layout: Layout, *, for_tests: bool = False) -> tuple[Target, Values]:
    """Bring up or reuse the cluster with the images in it; return it with the chart's values for it.

    Images are built while the cluster's binaries compile: both take minutes the first time, seconds later. Tests also
    need the image that imitates a GPU server.
    """
    target = choose_target(layout)
    _check_room(layout)
    if target.is_ours:
        install_missing(CLUSTER_PACKAGES | IMAGE_PACKAGES)  # before the two start: two apt-get would meet
    with ThreadPoolExecutor(1) as beside:
        images = beside.submit(build_all, layout)
        if target.is_ours:
            toolchain.build(layout)
            lifecycle.up(layout)
        else:
            _build_missing_clients(layout)
            _ensure_cluster(target)
        built = images.result()
        if for_tests:
            built = [*built, build_imitation(layout, built)]
    if target.kind == "kind":
        references = load_into_kind(built, KIND_CLUSTER)
    else:
        references = push_all(layout, built, _registry(target))
    return target, _values(target, references)


def _check_room(layout: Layout) -> None:
    """Say what a first set-up takes, and refuse before it starts where there is too little room."""
    layout.cache.mkdir(parents=True, exist_ok=True)
    binaries, images = toolchain.gigabytes_to_build(layout), gigabytes_to_build(layout)
    if binaries + images == 0:
        return
    minutes = 20 if binaries > 1 else 6
    needed = binaries + images + SETTLED_GIGABYTES / 2
    say(f"  first set-up of this version: about {minutes} minutes on two cores,")
    say(f"  {needed:.0f} GB of disk while it works and {SETTLED_GIGABYTES} GB afterwards, in {layout.cache}")
    require_room(layout.cache, needed, "the set-up")


def _build_missing_clients(layout: Layout) -> None:
    """Build kubectl and helm where the PATH has none; who has a cluster usually has both."""
    missing = [tool for tool, program in (("hyperkube", "kubectl"), ("helm", "helm")) if not shutil.which(program)]
    if missing:
        toolchain.build(layout, missing)


def _ensure_cluster(target: Target) -> None:
    if target.kind != "kind":
        return
    listed = subprocess.run(["kind", "get", "clusters"], capture_output=True, text=True, check=True).stdout
    if KIND_CLUSTER not in listed.split():
        with step("kind create cluster"):
            subprocess.run(["kind", "create", "cluster", "--name", KIND_CLUSTER], check=True)
    with step("kubectl apply -f hack/demo/prometheus.yaml"):
        command = ["kubectl", "--context", target.context, "apply", "-f", str(KIND_MANIFEST)]
        subprocess.run(command, check=True, env=target.environment)


def _registry(target: Target) -> str:
    if target.is_ours:
        return REGISTRY
    if registry := environment.registry():
        return registry
    raise SetupError(f"set EMBEDPLANE_REGISTRY to a registry that the nodes of {target.context} pull from")


def _values(target: Target, references: dict[str, str]) -> Values:
    """Return the chart's values: images by tag, storage, metrics."""
    images: Values = {}
    for name, reference in references.items():
        repository, _, tag = reference.rpartition(":")
        images[CHART_NAMES.get(name, name)] = {"repository": repository, "tag": tag}
    return {
        "images": images,
        "prometheus": {"url": target.prometheus},
        "scaling": {"tickSeconds": 5},
        # The demo's store need not be large, and one node's storage has to do outside the local cluster.
        "store": {"size": "5Gi", "accessMode": "ReadWriteMany" if target.is_ours else "ReadWriteOnce"},
    }


def _docker_gateway() -> str:
    template = "{{(index .IPAM.Config 0).Gateway}}"
    command = ["docker", "network", "inspect", "kind", "--format", template]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "172.17.0.1"
