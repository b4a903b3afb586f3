#!/usr/bin/env python3
"""How fast the inference server is over HTTP, beside its peers, its own engine and the hardware's limit.

.venv/bin/python hack/bench/server.py --output server.json
"""

import sys

# Python looks in this folder first, where `operator.py` would hide the standard library's module.
sys.path[0] += "/../.."

from hack.bench.serving.command import main

if __name__ == "__main__":
    main()
