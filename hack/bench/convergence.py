"""The operator's cost, measured: converge, idle, restart. `operator.py` is the command; README.md says what is real."""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from kubernetes.aio import client, config

from hack.bench.answers import termination_message
from hack.bench.fake_node import FakeNode
from hack.bench.models import Stage
from hack.bench.process import ROOT, Operator, Reading, operator

NAME = "embedplane-bench"
QUIET_SECONDS = 17


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def difference(before: Reading, after: Reading, models: int) -> dict[str, Any]:
    calls = after.calls - before.calls
    return {
        "apiCalls": dict(sorted(calls.items())),
        "apiCallsTotal": calls.total(),
        "apiCallsPerModel": round(calls.total() / models, 2),
        "reconciles": int(after.reconciles - before.reconciles),
        "cpuSeconds": round(after.cpu_seconds - before.cpu_seconds, 2),
        "pssMegabytes": after.pss_megabytes,
        "peakRssMegabytes": after.peak_rss_megabytes,
    }


async def until_ready(stage: Stage, models: int, within: float) -> float:
    started, shown = time.monotonic(), 0.0
    while True:
        states = Counter(await stage.states())
        seconds = time.monotonic() - started
        if states["Ready"] == models:
            return seconds
        if seconds > within:
            raise SystemExit(f"not Ready within {within:.0f} s: {dict(states)}")
        if seconds - shown >= 5:
            shown = seconds
            say(f"  {seconds:4.0f} s  {', '.join(f'{count} {state}' for state, count in states.most_common())}")
        await asyncio.sleep(0.5)


async def settled(running: Operator) -> Reading:
    """Wait until the operator has not reconciled for longer than a tick of its autoscaler."""
    reading = await running.read()
    quiet_since = time.monotonic()
    while time.monotonic() - quiet_since < QUIET_SECONDS:
        await asyncio.sleep(0.5)
        newest = await running.read()
        if newest.reconciles != reading.reconciles:
            quiet_since = time.monotonic()
        reading = newest
    return reading


async def converge(running: Operator, stage: Stage, options: argparse.Namespace) -> dict[str, Any]:
    before = await running.read()
    started = time.monotonic()
    await stage.create(options.models)
    created = time.monotonic() - started
    seconds = created + await until_ready(stage, options.models, options.within)
    after = await settled(running)
    return {
        "secondsToCreate": round(created, 1),
        "secondsToReady": round(seconds, 1),
        "secondsToReadyPerModel": round(seconds / options.models, 3),
        "before": {"pssMegabytes": before.pss_megabytes, "cpuSeconds": round(before.cpu_seconds, 2)},
        **difference(before, after, options.models),
        "pssKilobytesPerModel": round((after.pss_megabytes - before.pss_megabytes) * 1024 / options.models, 1),
    }


async def idle(running: Operator, options: argparse.Namespace) -> dict[str, Any]:
    before = await running.read()
    await asyncio.sleep(options.idle_seconds)
    return {"seconds": options.idle_seconds, **difference(before, await running.read(), options.models)}


async def restarted(running: Operator, stage: Stage, options: argparse.Namespace) -> dict[str, Any]:
    """Measure what a new process does that finds everything done."""
    started = time.monotonic()
    reading = await running.read()
    while reading.reconciles < options.models:
        await asyncio.sleep(0.2)
        reading = await running.read()
    seconds = time.monotonic() - started
    nothing = Reading(Counter(), 0, 0, 0, 0)
    states = Counter(await stage.states())
    assert states["Ready"] == options.models, f"a restart changed something: {states}"
    return {"secondsToSeeAll": round(seconds, 1), **difference(nothing, await settled(running), options.models)}


async def refuse_other_operators(api: client.ApiClient) -> None:
    found = await client.AppsV1Api(api).list_deployment_for_all_namespaces(
        label_selector="app.kubernetes.io/name=embedplane"
    )
    if found.items:
        where = ", ".join(f"{item.metadata.namespace}/{item.metadata.name}" for item in found.items)
        raise SystemExit(
            f"another Embedplane runs here ({where}) and would act on the benchmark's models: uninstall it"
        )


def apply_crds() -> None:
    command = [
        "kubectl",
        "apply",
        "--server-side",
        "--force-conflicts",
        "-f",
        str(ROOT / "crds" / "embeddingmodels.yaml"),
    ]
    subprocess.run(command, check=True, stdout=sys.stderr)


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    configuration = client.Configuration()
    await config.load_kube_config(client_configuration=configuration)
    async with client.ApiClient(configuration) as api:
        await refuse_other_operators(api)
        await asyncio.to_thread(apply_crds)
        stage = Stage(api, NAME, options.namespaces)
        with tempfile.TemporaryDirectory() as folder:
            async with FakeNode(api, NAME, termination_message).running(), stage.standing():
                say(f"{options.models} models in {options.namespaces} namespaces")
                async with operator(Path(folder), stage, options.prometheus) as running:
                    result = {"models": options.models, "namespaces": options.namespaces}
                    result["converge"] = await converge(running, stage, options)
                    say(
                        f"  all Ready after {result['converge']['secondsToReady']} s; idle for {options.idle_seconds} s"
                    )
                    result["idle"] = await idle(running, options)
                say("  restarting the operator")
                async with operator(Path(folder), stage, options.prometheus) as running:
                    result["restart"] = await restarted(running, stage, options)
                say("  removing everything")
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description="Measures what the operator costs; see hack/bench/README.md.")
    parser.add_argument("--models", type=int, default=100)
    parser.add_argument("--namespaces", type=int, default=1, help="above 1 the whole cluster is watched")
    parser.add_argument("--within", type=float, default=900, help="seconds until all must be Ready")
    parser.add_argument("--idle-seconds", type=float, default=60)
    parser.add_argument("--prometheus", help="URL; default none, the autoscaler then only looks at replicas")
    parser.add_argument("--output", type=Path, help="also write the JSON there")
    options = parser.parse_args()
    result = json.dumps(asyncio.run(measure(options)), indent=2)
    print(result)
    if options.output:
        options.output.write_text(result + "\n")
