#!/usr/bin/env bash
# Create .venv with everything development and tests need, from uv.lock.
# Running it again takes a second; nothing outside .venv and the cache is touched.
set -euo pipefail
cd "$(dirname "$0")/.."

PYTHON=${PYTHON:-python3}
if ! "$PYTHON" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))'; then
    echo "env: $PYTHON is $("$PYTHON" --version); Embedplane needs Python 3.11 to 3.13. Set PYTHON to one." >&2
    exit 1
fi
UV=$(hack/uv.sh)
[ -x .venv/bin/python ] || echo "env: creating .venv (torch included: about 6 GB, a minute or two)"
UV_PYTHON_DOWNLOADS=never "$UV" sync --frozen --all-extras --quiet --python "$PYTHON"
