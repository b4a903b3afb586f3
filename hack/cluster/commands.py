"""The command line of hack/cluster: parse, call one function, print its faults."""

import argparse
import sys
from collections.abc import Callable, Sequence

from hack.cluster import lifecycle, toolchain
from hack.cluster.layout import Layout
from hack.cluster.progress import SetupError, complain, say
from hack.cluster.status import print_status


def main(arguments: Sequence[str]) -> int:
    """Run one command and return the exit code."""
    options = _parser().parse_args(arguments)
    run: Callable[[Layout, argparse.Namespace], int] = options.run
    try:
        return run(Layout.of_environment(), options)
    except SetupError as error:
        return complain(error)
    except KeyboardInterrupt:
        print("interrupted; the same command goes on where this one stopped", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="hack/cluster/cluster", description="A two-node Kubernetes on this machine.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(
        name: str, run: Callable[[Layout, argparse.Namespace], int], explanation: str
    ) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=explanation, description=explanation)
        added.set_defaults(run=run)
        return added

    building = command("build", _build, "build what is missing of the binaries (the named ones: also kwok and keda)")
    building.add_argument("tools", nargs="*", metavar="TOOL")
    command("up", _up, "build what is missing, start what does not run, wait until it is ready")
    ending = command("down", _down, "stop the cluster; its data stays")
    forget = ending.add_mutually_exclusive_group()
    forget.add_argument(
        "--reset", action="store_const", const="reset", dest="forget", default="", help="forget its objects"
    )
    forget.add_argument(
        "--wipe", action="store_const", const="wipe", dest="forget", help="forget all but registry, binaries"
    )
    command("status", _status, "show what runs, where, and the disk it takes; exit code 1 unless all runs")
    command("kubeconfig", _kubeconfig, "print the path of the kubeconfig")
    parts = "components (etcd, kubelet@gpu0, prometheus, ...)"
    for name, run, explanation in (
        ("kill", _kill, f"SIGKILL {parts} or a whole node (gpu0); `up` repairs"),
        ("stop", _stop, f"SIGTERM {parts}"),
        ("start", _start, f"start {parts} again"),
    ):
        command(name, run, explanation).add_argument("names", nargs="+", metavar="NAME")
    return parser


def _build(layout: Layout, options: argparse.Namespace) -> int:
    toolchain.build(layout, options.tools)
    say(f"in {layout.binaries}: {', '.join(tool.name for tool in toolchain.chosen(options.tools))}")
    return 0


def _up(layout: Layout, _: argparse.Namespace) -> int:
    toolchain.build(layout)
    lifecycle.up(layout)
    say(f"export KUBECONFIG={layout.kubeconfig} PATH={layout.binaries}:$PATH")
    return 0


def _down(layout: Layout, options: argparse.Namespace) -> int:
    lifecycle.down(layout, options.forget)
    return 0


def _status(layout: Layout, _: argparse.Namespace) -> int:
    return 0 if print_status(layout) else 1


def _kubeconfig(layout: Layout, _: argparse.Namespace) -> int:
    say(str(layout.kubeconfig))
    return 0


def _kill(layout: Layout, options: argparse.Namespace) -> int:
    lifecycle.stop(layout, options.names, "KILL")
    return 0


def _stop(layout: Layout, options: argparse.Namespace) -> int:
    lifecycle.stop(layout, options.names)
    return 0


def _start(layout: Layout, options: argparse.Namespace) -> int:
    lifecycle.start(layout, options.names)
    return 0
