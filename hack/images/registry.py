"""The local registry: what it holds, and how images that no push will come back to leave it."""

import http.client
import json
import subprocess
from dataclasses import dataclass
from typing import Any

from hack.cluster.configuration import ClusterFiles
from hack.cluster.layout import REGISTRY, Layout
from hack.cluster.progress import SetupError

MANIFESTS = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"
OK, ACCEPTED, NOT_FOUND = 200, 202, 404


@dataclass(frozen=True)
class Manifest:
    """One image in the registry."""

    digest: str
    layers: tuple[str, ...]

    def builds_on(self, other: "Manifest", thin_layers: int) -> bool:
        """Tell whether both differ in so many last layers at most: the source."""
        return self.layers[:-thin_layers] == other.layers[:-thin_layers]


@dataclass(frozen=True)
class LocalRegistry:
    """The registry of hack/cluster."""

    layout: Layout

    def manifest(self, repository: str, tag: str) -> Manifest | None:
        """Return an image, or None when the registry does not hold it."""
        status, headers, body = _request("GET", f"/v2/{repository}/manifests/{tag}")
        if status != OK:
            return None
        layers = tuple(layer["digest"] for layer in json.loads(body)["layers"])
        return Manifest(headers["docker-content-digest"], layers)

    def tags(self, repository: str) -> list[str]:
        status, _, body = _request("GET", f"/v2/{repository}/tags/list")
        return list(json.loads(body).get("tags") or ()) if status == OK else []

    def drop_outdated(self, repository: str, current_tag: str, thin_layers: int) -> int:
        """Delete the tags with other dependencies than the current one; return how many. `collect` frees the disk.

        Tags that differ in their source stay: they take next to nothing, and something may still run them.
        """
        current = self.manifest(repository, current_tag)
        if current is None:
            return 0
        found = [self.manifest(repository, tag) for tag in self.tags(repository)]
        outdated = {each.digest for each in found if each is not None and not each.builds_on(current, thin_layers)}
        for digest in outdated:
            status, _, _ = _request("DELETE", f"/v2/{repository}/manifests/{digest}")
            if status not in (ACCEPTED, NOT_FOUND):
                raise SetupError(f"the registry {REGISTRY} does not delete {repository}@{digest}: it answers {status}")
        return len(outdated)

    def collect(self) -> None:
        """Free the layers that no tag needs any more. Only whoever holds the lock of the image storage pushes."""
        configuration = str(ClusterFiles.of(self.layout).registry)
        command = [str(self.layout.binaries / "registry"), "garbage-collect", "--delete-untagged", configuration]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SetupError(f"{' '.join(command)} failed: {done.stderr.strip()[-1000:]}")


def _request(method: str, path: str) -> tuple[int, dict[str, Any], bytes]:
    connection = http.client.HTTPConnection(REGISTRY, timeout=10)
    try:
        connection.request(method, path, headers={"Accept": MANIFESTS})
        answer = connection.getresponse()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, headers, answer.read()
    except OSError as error:
        raise SetupError(f"the registry {REGISTRY} does not answer ({error}): hack/cluster/cluster up") from error
    finally:
        connection.close()
