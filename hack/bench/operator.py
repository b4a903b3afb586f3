#!/usr/bin/env python3
# ruff: noqa: A005 - a command, never imported; the assignment below keeps it from hiding the standard library's module
"""How much the operator costs: N EmbeddingModels from creation to Ready, with Jobs faked at the kubelet.

KUBECONFIG=... .venv/bin/python hack/bench/operator.py --models 100
"""

import sys

# Python looks for `operator` in this folder first; what has to be found is the repository.
sys.path[0] += "/../.."

from hack.bench.convergence import main

if __name__ == "__main__":
    main()
