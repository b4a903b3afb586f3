#!/usr/bin/env bash
# Verify Embedplane's GPU engines on this machine, which needs one NVIDIA GPU, and print a report for an issue.
#   hack/gpu-smoke.sh              builds the images, takes an hour or so, writes gpu-smoke-report.md
#   hack/gpu-smoke.sh --help       what can be chosen
set -euo pipefail

folder=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for python in "${PYTHON:-python3}" python3.13 python3.12 python3.11; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        PYTHONPATH="$folder${PYTHONPATH:+:$PYTHONPATH}" exec "$python" -m hack.gpu_smoke "$@"
    fi
done
echo "gpu-smoke: needs Python 3.11 or newer, nothing else of it; set PYTHON to one." >&2
exit 2
