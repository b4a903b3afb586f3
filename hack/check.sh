#!/usr/bin/env bash
# The fast checks, in the order in which they usually fail. Needs no cluster; about three minutes.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH"
unset PYTHONDONTWRITEBYTECODE  # tests start many processes, each of which would compile its libraries anew

step() {
    local started=$SECONDS
    printf -- '--- %s\n' "$*"
    "$@"
    printf -- '    %ss\n' $((SECONDS - started))
}

step ruff check . hack/cluster/cluster hack/images/images hack/demo/demo
step ruff format --check . hack/cluster/cluster hack/images/images hack/demo/demo
step mypy
step mypy -p hack.cluster -p hack.images -p hack.demo -p hack.bench -p hack.gpu_smoke -p hack.provision
step lint-imports
step python hack/generate_crds.py --check
step pytest -q -m "not cluster and not model and not provisioned" tests/unit tests/contract
