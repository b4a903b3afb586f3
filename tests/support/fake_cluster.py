"""An API server in memory, for tests of what calls `Cluster`: names, versions, conflicts and selectors by equality.

Server-side apply is a merge here that takes back what was applied before and is not any more (a status apply replaces
the status); what else depends on the rules of field ownership is tested against a real API server in tests/integration.
"""

import copy
import itertools
from collections.abc import Callable
from typing import Any

from embedplane_operator.cluster import FIELD_MANAGER, Cluster
from embedplane_operator.errors import AlreadyExistsError, ClusterError, ConflictError, NotFoundError, Refusal
from embedplane_operator.kinds import RESOURCES, Manifest, Resource


class FakeCluster(Cluster):
    """Objects by kind, namespace and name; `refuse` may raise before a call is carried out."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str, str], Manifest] = {}
        self.calls: list[tuple[str, str, str]] = []
        self.refuse: Callable[[str, str, str], ClusterError | None] = lambda _verb, _kind, _name: None
        self._versions = itertools.count(1)
        self._applied: dict[tuple[str, str, str], Manifest] = {}

    def put(self, manifest: Manifest) -> Manifest:
        """Store an object as it is, with a uid and a version."""
        stored = copy.deepcopy(manifest)
        version = next(self._versions)
        stored["metadata"].setdefault("uid", f"uid-{version}")
        stored["metadata"]["resourceVersion"] = str(version)
        stored["metadata"].setdefault("namespace", "search")
        self.objects[self._key(stored["kind"], stored["metadata"]["namespace"], stored["metadata"]["name"])] = stored
        return stored

    def find(self, kind: str, name: str, namespace: str = "search") -> Manifest | None:
        return self.objects.get(self._key(kind, namespace, name))

    def all(self, kind: str) -> list[Manifest]:
        return [stored for (its_kind, _, _), stored in self.objects.items() if its_kind == kind]

    async def get(self, resource: Resource, namespace: str, name: str, within: float | None = None) -> Manifest | None:
        self._note("get", resource.kind, name)
        return copy.deepcopy(self.find(resource.kind, name, namespace))

    async def list(
        self, resource: Resource, namespace: str | None, labels: str = "", fields: str = ""
    ) -> tuple[Manifest, ...]:
        self._note("list", resource.kind, labels or fields)
        return tuple(
            copy.deepcopy(stored)
            for (kind, its_namespace, _), stored in self.objects.items()
            if kind == resource.kind and namespace in (None, its_namespace) and _matches(labels, _labels(stored))
            and _matches(fields, _fields(stored))
        )  # fmt: skip

    async def apply(
        self, manifest: Manifest, *, manager: str = FIELD_MANAGER, subresource: str | None = None, dry_run: bool = False
    ) -> Manifest:
        metadata = manifest["metadata"]
        self._note("dry-run" if dry_run else "apply", manifest["kind"], metadata["name"])
        known = self.find(manifest["kind"], metadata["name"], metadata["namespace"])
        if subresource == "status":
            if known is None:
                raise _error(NotFoundError, 404, "NotFound")
            return self._store(known | {"status": manifest["status"]}, known)
        place = self._key(manifest["kind"], metadata["namespace"], metadata["name"])
        merged = _merge(_without(known or {}, self._applied.get(place, {}), manifest), manifest)
        if dry_run:
            return merged
        self._applied[place] = copy.deepcopy(manifest)
        return self._store(merged, known)

    async def create(self, manifest: Manifest, within: float | None = None) -> Manifest:
        metadata = manifest["metadata"]
        self._note("create", manifest["kind"], metadata["name"])
        if self.find(manifest["kind"], metadata["name"], metadata["namespace"]):
            raise _error(AlreadyExistsError, 409, "AlreadyExists")
        return copy.deepcopy(self.put(manifest))

    async def merge(
        self, resource: Resource, namespace: str, name: str, patch: Manifest, within: float | None = None
    ) -> Manifest:
        self._note("patch", resource.kind, name)
        known = self.find(resource.kind, name, namespace)
        if known is None:
            raise _error(NotFoundError, 404, "NotFound")
        version = patch.get("metadata", {}).get("resourceVersion")
        if version not in (None, known["metadata"]["resourceVersion"]):
            raise _error(ConflictError, 409, "Conflict")
        return self._store(_merge(known, patch), known)

    async def delete(self, resource: Resource, namespace: str, name: str, uid: str) -> None:
        self._note("delete", resource.kind, name)
        known = self.find(resource.kind, name, namespace)
        if known is None:
            return
        if known["metadata"]["uid"] != uid:
            raise _error(ConflictError, 409, "Conflict")
        del self.objects[self._key(resource.kind, namespace, name)]

    async def scale(self, namespace: str, deployment: str, replicas: int, *, manager: str) -> None:
        self._note("scale", "Deployment", deployment)
        known = self.find("Deployment", deployment, namespace)
        if known is None:
            raise _error(NotFoundError, 404, "NotFound")
        owner = {"manager": manager, "subresource": "scale", "fieldsV1": {"f:spec": {"f:replicas": {}}}}
        change = {"metadata": {"managedFields": [owner]}, "spec": {"replicas": replicas}}
        self._store(_merge(known, change), known)

    async def secret_version(self, namespace: str, name: str) -> str | None:
        self._note("get", "Secret", name)
        found = self.find("Secret", name, namespace)
        return None if found is None else str(found["metadata"]["resourceVersion"])

    def _store(self, changed: Manifest, known: Manifest | None) -> Manifest:
        changed = copy.deepcopy(changed)
        if known is not None and _content(changed) == _content(known):
            return copy.deepcopy(known)
        if known is None or known.get("spec") != changed.get("spec"):
            changed["metadata"]["generation"] = changed["metadata"].get("generation", 0) + 1
        return copy.deepcopy(self.put(changed))

    def _note(self, verb: str, kind: str, name: str) -> None:
        self.calls.append((verb, kind, name))
        if error := self.refuse(verb, kind, name):
            raise error

    @staticmethod
    def _key(kind: str, namespace: str, name: str) -> tuple[str, str, str]:
        assert kind in RESOURCES, kind
        return kind, namespace, name


def _content(stored: Manifest) -> Manifest:
    metadata = {key: value for key, value in stored["metadata"].items() if key != "resourceVersion"}
    return stored | {"metadata": metadata}


def _merge(base: Any, change: Any) -> Any:
    if not isinstance(base, dict) or not isinstance(change, dict):
        return copy.deepcopy(change)
    merged = copy.deepcopy(base)
    for key, value in change.items():
        merged[key] = _merge(merged.get(key), value)
    return {key: value for key, value in merged.items() if value is not None}


def _without(base: Any, before: Any, now: Any) -> Any:
    """What is left of an object when the fields that were applied before, and are not now, are taken back."""
    if not all(isinstance(each, dict) for each in (base, before, now)):
        return base
    return {
        key: _without(value, before.get(key), now.get(key))
        for key, value in base.items()
        if key in now or key not in before
    }


def _labels(stored: Manifest) -> dict[str, str]:
    return stored["metadata"].get("labels") or {}


def _fields(stored: Manifest) -> dict[str, str]:
    regarding = stored.get("regarding") or {}
    fields = {f"regarding.{key}": str(value) for key, value in regarding.items()}
    return fields | {"type": str(stored.get("type")), "metadata.name": stored["metadata"]["name"]}


def _matches(selector: str, values: dict[str, str]) -> bool:
    """`a=b`, `a in (b,c)` and conjunctions of them."""
    for part in filter(None, _split(selector)):
        if " in " in part:
            key, chosen = part.split(" in ", 1)
            if values.get(key.strip()) not in chosen.strip("() ").split(","):
                return False
        else:
            key, _, value = part.partition("=")
            if values.get(key) != value:
                return False
    return True


def _split(selector: str) -> list[str]:
    parts, depth, current = [], 0, ""
    for letter in selector:
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if letter == "," and depth == 0:
            parts.append(current)
            current = ""
        else:
            current += letter
    return [*parts, current]


def _error(kind: type[ClusterError], status: int, reason: str) -> ClusterError:
    return kind("fake", Refusal(status, reason, reason))
