"""What `make test` needs beside .venv, made once and kept in the cache: clients, larger weights, an S3 server.

.venv/bin/python -m hack.provision
"""

import sys

from hack.cluster.progress import SetupError, complain
from hack.provision import clients, mpnet, object_storage


def main() -> int:
    """Make what is missing and return the exit code."""
    try:
        clients.provide()
        mpnet.provide()
        object_storage.provide()
    except SetupError as error:
        return complain(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
