#!/usr/bin/env bash
# Everything: the fast checks, the tests with real weights, and the suites on a real cluster.
# The cluster is EMBEDPLANE_KUBECONTEXT's if set, else the two-node one of hack/cluster, which is left stopped.
set -euo pipefail
cd "$(dirname "$0")/.."
CACHE=${EMBEDPLANE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/embedplane}
export PATH="$PWD/.venv/bin:$CACHE/bin:$PATH"
export PYTHONUNBUFFERED=1 HF_HUB_DISABLE_TELEMETRY=1
# Dozens of processes import torch: one that may keep no bytecode compiles thousands of files for ten seconds each time.
unset PYTHONDONTWRITEBYTECODE

hack/check.sh

echo "--- a browser"
python -m hack.browser

echo "--- clients of others, and larger weights"
python -m hack.provision

echo "--- cluster and images"
# A pristine cluster for each run: what a crashed run left behind goes, pulled images stay.
[ -n "${EMBEDPLANE_KUBECONTEXT:-}" ] || hack/demo/down --reset
values=$(mktemp)
cleanup() {
    rm -f "$values"
    [ -n "${EMBEDPLANE_KUBECONTEXT:-}" ] || hack/demo/down
}
trap cleanup EXIT
hack/demo/demo prepare --values "$values"
[ -n "${EMBEDPLANE_KUBECONTEXT:-}" ] || KUBECONFIG=$(hack/cluster/cluster kubeconfig)
export KUBECONFIG EMBEDPLANE_VALUES="$values"

echo "--- real weights, a real Prometheus, the chart, a real API server"
pytest -q --durations=15 -m "model or cluster or provisioned" tests/unit
pytest -q tests/clients tests/chart tests/integration
echo "--- end to end"
pytest --durations=15 tests/e2e
