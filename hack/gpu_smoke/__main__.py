"""`hack/gpu-smoke.sh`: Embedplane's GPU path on a real GPU, step by step as in a cluster, and a report to paste.

Everything here is the standard library's: on the machine of whoever has a GPU nothing is installed for it.
"""

import signal
import sys

from hack.gpu_smoke.commands import main

signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # containers are ended on the way out
sys.exit(main(sys.argv[1:]))
