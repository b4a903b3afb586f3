"""What a model is doing while one waits for it: each step when it begins, its seconds when it ends."""

import time
from typing import Any

from hack.cluster.progress import SetupError, say
from hack.demo import shell
from hack.demo.target import Target

PATIENCE_SECONDS = 900

STEPS = {
    "FetchRunning": "fetch: the revision becomes a commit, safetensors and JSON come down, digests are checked",
    "ExportRunning": "export: the module chain becomes a graph, sentence-transformers makes fp32 reference vectors",
    "BuildRunning": "build: OpenVINO compiles, every golden text is compared with its reference, speed is measured",
    "RolloutRunning": "rollout: servers load the engine, repeat part of the comparison, become ready",
}


def until_ready(target: Target, namespace: str, name: str) -> None:
    """Print the model's way to Ready; raise SetupError when it stalls or takes too long."""
    began = step_began = time.monotonic()
    doing = said = ""
    while time.monotonic() - began < PATIENCE_SECONDS:
        model = shell.get_model(target, namespace, name)
        ready = _condition(model, "Ready")
        reason, message = ready.get("reason", ""), ready.get("message", "")
        if reason != doing and (reason in STEPS or ready.get("status") == "True"):
            if doing:
                say(f"     {time.monotonic() - step_began:5.1f} s")
            doing, step_began = reason, time.monotonic()
            if reason in STEPS:
                say(f"  {STEPS[reason]}")
        elif reason not in STEPS and message != said:
            said = message
            say(f"  {reason}: {message}")
        if ready.get("status") == "True" and ready.get("observedGeneration") == model["metadata"]["generation"]:
            _summarise(model, time.monotonic() - began)
            return
        if _condition(model, "Stalled").get("status") == "True":
            raise SetupError(f"{name} is stalled: {reason}: {message}")
        time.sleep(0.5)
    raise SetupError(f"{name} is not Ready after {PATIENCE_SECONDS} s: kubectl describe embeddingmodel {name}")


def _condition(model: dict[str, Any], kind: str) -> dict[str, Any]:
    conditions = model.get("status", {}).get("conditions", [])
    return next((each for each in conditions if each["type"] == kind), {})


def _summarise(model: dict[str, Any], seconds: float) -> None:
    status = model["status"]
    engine, space = status["engine"], status["vectorSpace"]
    conformance, benchmark = engine["conformance"], engine["benchmark"]
    say(f"  Ready after {seconds:.1f} s")
    say(f"    commit       {status['source']['commit']}")
    say(f"    vector space {space['id']} ({space['dimensions']} dimensions, {space['maxSequenceLength']} tokens)")
    say(f"    engine       {engine['backend']} {engine['backendVersion']}, {engine['precision']}")
    say(f"    conformance  cosine >= {conformance['minimumCosine']:.6f} over {conformance['texts']} golden texts")
    say(f"    benchmark    {benchmark['tokensPerSecond']:,.0f} tokens/s")
    say(f"    url          {status['url']}")
