#!/usr/bin/env python3
"""Whether a server stays the same under everything that clients do: its memory, its answers, its own counts.

.venv/bin/python hack/bench/soak.py path/to/all-MiniLM-L6-v2 --requests 5000 --output soak.json
"""

import sys

# Python looks in this folder first; what has to be found is the repository.
sys.path[0] += "/../.."

from hack.bench.soaking import main

if __name__ == "__main__":
    main()
