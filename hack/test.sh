#!/usr/bin/env bash
# Everything: the fast checks, the tests with real weights, and the suites on a real cluster.
# Uses EMBEDPLANE_KUBECONTEXT if set, else the two-node cluster of hack/cluster, which it takes down again if it started it.
set -euo pipefail
cd "$(dirname "$0")/.."
CACHE=${EMBEDPLANE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/embedplane}
export PATH="$PWD/.venv/bin:$CACHE/bin:$PATH"
export PYTHONUNBUFFERED=1 HF_HUB_DISABLE_TELEMETRY=1

hack/check.sh

echo "--- tests with real weights"
pytest -q -m model tests/unit

echo "--- cluster and images"
python -m hack.demo.prepare
