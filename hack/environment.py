"""What a server's process of tests and benchmarks gets from this one's environment."""

import os


def outside() -> dict[str, str]:
    """Return it without the EMBEDPLANE_ variables of the run itself, which a server refuses as typos."""
    return {name: value for name, value in os.environ.items() if not name.startswith("EMBEDPLANE_")}
