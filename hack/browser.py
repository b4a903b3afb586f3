"""Install Debian's Chromium and its driver, which are of one version, for the test of the server's page.

Does nothing where both are there.
"""

import sys

from hack.cluster.debian import install_missing
from hack.cluster.progress import SetupError

# package -> what shows that it is there, as in hack/cluster/debian.py
BROWSER_PACKAGES = {"chromium": "chromium", "chromium-driver": "chromedriver"}

if __name__ == "__main__":
    try:
        install_missing(BROWSER_PACKAGES)
    except SetupError as error:
        sys.exit(f"browser: {error}")
