"""What the operator wrote to each object, by the API server's own record of who wrote what and when."""

import json

from tests.support.kubectl import Kubectl, Manifest

OURS = "app.kubernetes.io/managed-by=embedplane"
MANAGERS = "embedplane"
"""How the names of our field managers begin."""


def last_writes(kubectl: Kubectl, kinds: str) -> dict[str, list[Manifest]]:
    """Return the operator's entries of `managedFields`, for objects of ours of these kinds and for all models.

    They differ after a write of the operator's that changed anything, even back to what it was before. A
    resourceVersion differs after anybody's: controllers write status whenever they like.
    """
    options = ("-o", "json", "--show-managed-fields")
    items = [
        *json.loads(kubectl.run("get", kinds, "-l", OURS, *options))["items"],
        *json.loads(kubectl.run("get", "embeddingmodels", *options))["items"],
    ]
    return {f"{item['kind']}/{item['metadata']['name']}": _entries_of(item) for item in items}


def _entries_of(item: Manifest) -> list[Manifest]:
    entries = item["metadata"].get("managedFields") or ()
    return [entry for entry in entries if entry["manager"].startswith(MANAGERS)]
