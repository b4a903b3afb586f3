"""The CRD is generated: what is committed is what the models say."""

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "hack" / "generate_crds.py"


def test_the_crds_are_what_the_models_say() -> None:
    done = subprocess.run([sys.executable, SCRIPT, "--check"], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
