#!/usr/bin/env bash
# Create .venv with everything development and tests need, from uv.lock. uv itself comes from PyPI, pinned here.
# Running it again takes a second; nothing outside .venv and the cache is touched.
set -euo pipefail
cd "$(dirname "$0")/.."

UV_VERSION=0.13.9
CACHE=${EMBEDPLANE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/embedplane}
UV=$CACHE/uv/$UV_VERSION/bin/uv
PYTHON=${PYTHON:-python3}

if ! "$PYTHON" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))'; then
    echo "env: $PYTHON is $("$PYTHON" --version); Embedplane needs Python 3.11 to 3.13. Set PYTHON to one." >&2
    exit 1
fi
if [ ! -x "$UV" ]; then
    echo "env: installing uv $UV_VERSION"
    # Debian ships venv as a package of its own.
    "$PYTHON" -c 'import ensurepip' 2>/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-venv; }
    rm -rf "$CACHE/uv/$UV_VERSION"
    "$PYTHON" -m venv "$CACHE/uv/$UV_VERSION"
    "$CACHE/uv/$UV_VERSION/bin/pip" install --quiet --disable-pip-version-check "uv==$UV_VERSION"
fi
[ -x .venv/bin/python ] || echo "env: creating .venv (torch included: about 6 GB, a minute or two)"
UV_PYTHON_DOWNLOADS=never "$UV" sync --frozen --all-extras --quiet --python "$PYTHON"
