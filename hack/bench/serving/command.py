"""The command line of `hack/bench/server.py`."""

import argparse
import json
import os
import signal
import sys
import tempfile
from pathlib import Path

from hack.bench.serving.contenders import REFERENCE
from hack.bench.serving.measuring import Plan, measure
from hack.bench.serving.models import model_of
from hack.bench.serving.published import publish
from hack.bench.serving.reporting import document, table

MODELS = ["all-MiniLM-L6-v2", "all-mpnet-base-v2"]
PEERS = ["infinity bf16", "infinity onnx", REFERENCE]
KINDS = ["short", "mixed", "long"]


def main() -> None:
    """Measure, print tables, write JSON."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # servers are ended on the way out
    arguments = _arguments()
    if arguments.check:
        arguments.models, arguments.peers, arguments.kinds = MODELS[:1], [], KINDS[:1]
        arguments.rounds, arguments.seconds = 1, 0.2
    elif arguments.quick:
        arguments.models, arguments.rounds, arguments.seconds = MODELS[:1], 2, 1.0
    plan = Plan(arguments.peers, arguments.against, arguments.kinds, arguments.rounds, arguments.seconds)
    load_before, results = os.getloadavg()[0], []
    with tempfile.TemporaryDirectory(prefix="embedplane-bench-") as logs:
        for name in arguments.models:
            model = model_of(name)
            engine = publish(model, arguments.precision, arguments.cosine, arguments.max_batch_tokens)
            results.append(measure(model, engine, plan, Path(logs)))
            print(f"\n{name}\n{table(results[-1])}\n", flush=True)
    found = document(results, (load_before, os.getloadavg()[0]))
    if arguments.output:
        arguments.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="server.py", description="This server beside its peers over HTTP.")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=PEERS)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS, help="lengths of texts")
    parser.add_argument("--against", type=Path, help="another checkout, measured beside this one as `before`")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--cosine", type=float, default=0.999, help="the floor of the engine")
    parser.add_argument("--max-batch-tokens", type=int, help="instead of what the engine's build measured")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each measurement")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--quick", action="store_true", help="one model, two short rounds")
    parser.add_argument("--check", action="store_true", help="see that it runs, in seconds, without peers")
    return parser.parse_args()
