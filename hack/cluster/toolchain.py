"""The binaries of the local cluster: which version of each, and how it is built from source. Built once for each key.

A key covers a tool's version, flags and sources, not the Go that compiles it: on a machine where everything is cached
nothing but Python is needed.
"""

import fcntl
import hashlib
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from hack.cluster.debian import CLUSTER_PACKAGES, install_missing
from hack.cluster.golang import FLAGS, Compiler, find_compiler
from hack.cluster.layout import SOURCES, Layout
from hack.cluster.progress import SetupError, Step, require_room, step

KUBERNETES = "v1.35.4"


@dataclass(frozen=True)
class Tool:
    """One binary. `package` is a Go package, `sources` a folder of ours with a Go module or a C file."""

    name: str
    version: str
    package: str = ""
    sources: Path | None = None
    tags: str = ""
    link: str = "-s -w"
    replaces: bool = False
    """The module has replace directives, which `go install` refuses: built inside a copy of the module."""
    also: tuple[str, ...] = ()
    """More names under which the binary is called; it looks at the name it was called by."""
    room: float = 0.1
    """Gigabytes of Go caches while it is built."""

    @property
    def key(self) -> str:
        """Return what the binary depends on, as a short hash."""
        digest = hashlib.sha256(repr((self.version, self.package, self.tags, self.link, FLAGS)).encode())
        for file in sorted(self.sources.iterdir()) if self.sources and self.sources.is_dir() else [self.sources]:
            if file is not None:
                digest.update(file.read_bytes())
        return digest.hexdigest()[:10]


def _kubernetes_link() -> str:
    """Return linker flags with the version: without it the cluster calls itself v0.0.0 and charts refuse it."""
    major, minor, _ = KUBERNETES.removeprefix("v").split(".")
    values = {
        "gitVersion": KUBERNETES,
        "gitMajor": major,
        "gitMinor": minor,
        "gitTreeState": "clean",
        "gitCommit": "unknown",
    }
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    return "-s -w " + " ".join(f"-X {package}.{name}={value}" for package in packages for name, value in values.items())


TOOLS = (
    Tool("pause", "1", sources=SOURCES / "node" / "pause.c"),
    Tool(
        "hyperkube",
        KUBERNETES,
        sources=SOURCES / "go" / "hyperkube",
        link=_kubernetes_link(),
        also=("kubectl",),
        room=4,
    ),
    Tool("etcd", "v3.6.16", sources=SOURCES / "go" / "etcd", room=0.5),
    Tool("registry", "v3.1.2", "github.com/distribution/distribution/v3/cmd/registry", room=1),
    Tool("local-path-provisioner", "v0.0.30", "github.com/rancher/local-path-provisioner", room=1),
    Tool("coredns", "v1.12.4", "github.com/coredns/coredns", room=1.5),
    Tool(
        "prometheus",
        "v0.316.0",
        "github.com/prometheus/prometheus/cmd/prometheus",
        tags="remove_all_sd,enable_kubernetes_sd",  # every other cloud's SDK would double the build
        room=2,
    ),
    Tool("helm", "v4.3.1", "helm.sh/helm/v4/cmd/helm", room=2.5),
)

# Only the suites that need them pay for these.
ON_REQUEST = (
    # An S3 server over a folder
    Tool("versitygw", "v1.8.0", "github.com/versity/versitygw/cmd/versitygw", room=1.5),
    Tool("kwok", "v0.8.0", "sigs.k8s.io/kwok/cmd/kwok", room=2),
    Tool("keda", "v2.21.0", "github.com/kedacore/keda/v2/cmd/operator", replaces=True, room=5),
    Tool("keda-adapter", "v2.21.0", "github.com/kedacore/keda/v2/cmd/adapter", replaces=True, room=5),
)


def chosen(names: Sequence[str]) -> list[Tool]:
    """Return the named tools ("keda" brings its adapter), or those that every cluster needs."""
    if not names:
        return list(TOOLS)
    known = {tool.name: tool for tool in (*TOOLS, *ON_REQUEST)}
    for name in names:
        if name not in known:
            raise SetupError(f"no tool is called {name!r}; there are {', '.join(known)}")
    wanted = [*names, *(["keda-adapter"] if "keda" in names else [])]
    return [known[name] for name in dict.fromkeys(wanted)]


def gigabytes_to_build(layout: Layout, names: Sequence[str] = ()) -> float:
    """Return the disk that building the missing tools takes while it lasts."""
    return sum(tool.room for tool in chosen(names) if not _built(layout, tool).exists())


def build(layout: Layout, names: Sequence[str] = ()) -> None:
    """Build what is missing of the named tools and point <cache>/bin at them."""
    tools = chosen(names)
    layout.toolchain.mkdir(parents=True, exist_ok=True)
    with (layout.toolchain / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        missing = [tool for tool in tools if not _built(layout, tool).exists()]
        if missing:
            _build_missing(layout, missing)
        for tool in tools:
            _link(layout, tool)


def _build_missing(layout: Layout, missing: list[Tool]) -> None:
    require_room(layout.cache, sum(tool.room for tool in missing) + 1, f"building {', '.join(t.name for t in missing)}")
    install_missing(CLUSTER_PACKAGES)
    compiler = find_compiler(layout.cache)
    for number, tool in enumerate(missing, 1):
        with step(f"build {tool.name} {tool.version} ({number} of {len(missing)})") as running:
            _build_one(tool, _built(layout, tool), compiler, running)
    with step("drop the caches of the Go builds"):
        compiler.drop_caches()


def _build_one(tool: Tool, target: Path, compiler: Compiler, running: Step) -> None:
    """Build into a temporary folder beside the target and rename: a killed build leaves nothing that looks finished."""
    target.parent.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=target.parent.parent, prefix=".build-") as temporary:
        output = Path(temporary) / "out"
        output.mkdir()
        options = ("-v", "-ldflags", tool.link, *(("-tags", tool.tags) if tool.tags else ()))
        if tool.sources is not None and tool.sources.suffix == ".c":
            subprocess.run(["gcc", "-O2", "-static", "-o", output / tool.name, tool.sources], check=True)
        elif tool.sources is not None:
            compiler.run(running, "build", *options, "-o", str(output / tool.name), ".", folder=tool.sources)
        elif tool.replaces:
            _build_in_copy(tool, options, output, compiler, running)
        else:
            compiler.run(running, "install", *options, f"{tool.package}@{tool.version}", binaries=output)
        shutil.rmtree(target.parent, ignore_errors=True)
        output.rename(target.parent)


def _build_in_copy(tool: Tool, options: tuple[str, ...], output: Path, compiler: Compiler, running: Step) -> None:
    module, _, package = tool.package.partition("/cmd/")
    copy = output.parent / "module"
    shutil.copytree(compiler.module_folder(f"{module}@{tool.version}"), copy)
    compiler.run(running, "build", *options, "-o", str(output / tool.name), f"./cmd/{package}", folder=copy)


def _built(layout: Layout, tool: Tool) -> Path:
    return layout.toolchain / f"{tool.name}-{tool.version}-{tool.key}" / tool.name


def _link(layout: Layout, tool: Tool) -> None:
    """Point every name of the tool in <cache>/bin at the binary, in one move each."""
    layout.binaries.mkdir(exist_ok=True)
    for name in (tool.name, *tool.also):
        fresh = layout.binaries / f".{name}"
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(Path("..") / _built(layout, tool).relative_to(layout.cache))
        fresh.replace(layout.binaries / name)
