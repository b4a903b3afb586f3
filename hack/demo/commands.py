"""The command line of hack/demo: `run` is `make demo`, `down` is `make down`; tests start from `prepare`."""

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from hack.cluster import lifecycle
from hack.cluster.layout import Layout
from hack.cluster.progress import SetupError, complain, say, step
from hack.demo import search, shell, watch
from hack.demo.mirror import Mirror
from hack.demo.target import Target, choose_target, prepare

NAMESPACE = "embedplane-demo"
RELEASE = "embedplane"
SYSTEM_NAMESPACE = "embedplane-system"
EXAMPLE = Path("examples/minilm-cpu.yaml")


def main(arguments: Sequence[str]) -> int:
    """Run one command and return the exit code."""
    commands: dict[str, Callable[[argparse.Namespace], int]] = {"run": _run, "down": _down, "prepare": _prepare}
    parser = argparse.ArgumentParser(prog="hack/demo/demo", description=__doc__)
    parser.add_argument("command", choices=sorted(commands), nargs="?", default="run")
    parser.add_argument("--values", type=Path, help="prepare: write the chart's values for this cluster to this file")
    parser.add_argument("--reset", action="store_true", help="down: forget the cluster's objects as well")
    options = parser.parse_args(arguments)
    try:
        return commands[options.command](options)
    except SetupError as error:
        return complain(error)
    except KeyboardInterrupt:
        say("interrupted; the same command goes on where this one stopped")
        return 130


def _prepare(options: argparse.Namespace) -> int:
    _, values = prepare(Layout.of_environment(), for_tests=True)
    text = json.dumps(values, indent=2)
    if options.values:
        options.values.write_text(text)
    else:
        say(text)
    return 0


def _run(_: argparse.Namespace) -> int:
    layout = Layout.of_environment()
    say("1/5 a cluster and the images")
    target, values = prepare(layout)
    say("2/5 a mirror of the Hugging Face hub")
    values["hub"] = {"endpoint": Mirror(layout).start(target.host_address)}
    say("3/5 the Helm chart")
    with step(f"helm upgrade --install {RELEASE} charts/embedplane"):
        shell.helm_install(target, RELEASE, SYSTEM_NAMESPACE, values)
    say(f"4/5 kubectl apply -n {NAMESPACE} -f {EXAMPLE}")
    shell.ensure_namespace(target, NAMESPACE)
    name = shell.apply(target, NAMESPACE, EXAMPLE)
    watch.until_ready(target, NAMESPACE, name)
    say("5/5 a semantic search through the openai client")
    with shell.reachable(target, NAMESPACE, name) as address:
        search.show(address, name)
    _explain(target, name)
    return 0


def _explain(target: Target, name: str) -> None:
    say(
        f"""
Call it by hand:
  export KUBECONFIG={target.kubeconfig} PATH={target.binaries}:$PATH
  kubectl port-forward --namespace {NAMESPACE} service/{name} 8080:80 &
  curl http://127.0.0.1:8080/v1/embeddings -H 'content-type: application/json' \\
    -d '{{"model": "{name}", "input": "how do I reset my password?"}}'

Look at it:   kubectl get embeddingmodels -A
End it all:   make down"""
    )


def _down(options: argparse.Namespace) -> int:
    layout = Layout.of_environment()
    Mirror(layout).stop()
    target = choose_target(layout)
    if target.is_ours:
        lifecycle.down(layout, "reset" if options.reset else "")
    else:
        shell.remove(target, RELEASE, SYSTEM_NAMESPACE, NAMESPACE)
    return 0
