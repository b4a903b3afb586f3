#!/usr/bin/env bash
# Print where uv is. It comes from PyPI, pinned here, and is installed into the cache the first time.
set -euo pipefail

UV_VERSION=0.13.9
CACHE=${EMBEDPLANE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/embedplane}
UV=$CACHE/uv/$UV_VERSION/bin/uv
PYTHON=${PYTHON:-python3}

if [ ! -x "$UV" ]; then
    echo "env: installing uv $UV_VERSION" >&2
    # Debian ships venv as a package of its own.
    "$PYTHON" -c 'import ensurepip' 2>/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-venv; } >&2
    rm -rf "$CACHE/uv/$UV_VERSION"
    "$PYTHON" -m venv "$CACHE/uv/$UV_VERSION" >&2
    "$CACHE/uv/$UV_VERSION/bin/pip" install --quiet --disable-pip-version-check "uv==$UV_VERSION" >&2
fi
echo "$UV"
