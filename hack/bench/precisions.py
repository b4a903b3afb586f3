#!/usr/bin/env python3
"""How fast a model's engine in int8 is beside that in bfloat16.

.venv/bin/python hack/bench/precisions.py all-MiniLM-L6-v2 --floor 0.99 --rounds 7
"""

import sys

# Python looks in this folder first; what has to be found is the repository.
sys.path[0] += "/../.."

from hack.bench.serving.precisions import main

if __name__ == "__main__":
    main()
