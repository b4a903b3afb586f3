"""What of a namespace's store is in use, in the words of everything that may name it. Pure.

Whatever looks like the name of something in the store counts, wherever it stands: in a status, in the annotations of a
Deployment, in a Job's variables or in what its pod said. A name too many keeps an entry, one too few would lose it.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from embedplane_operator.kinds import DEPLOYMENT, EMBEDDING_MODEL, POD, Manifest
from embedplane_operator.troubles import container_states, last_end

NAME = re.compile(r"(?<![0-9a-z])(?:[0-9a-f]{64}|(?:en|ex|vs)[0-9]+-[0-9a-f]{20})(?![0-9a-z])")
HASHES = frozenset({"inputs"})
"""Fields whose content looks like a digest and is none of the store's."""
LONGEST_LIST = 120_000
"""Bytes: an environment variable has at most 128 KiB."""


def in_use(objects: Iterable[Manifest]) -> tuple[str, ...]:
    """Digests of models, keys of exports and engines, and ids of vector spaces that these objects name."""
    return tuple(sorted({name for each in objects for text in _texts(_said_by(each)) for name in NAME.findall(text)}))


def _said_by(manifest: Manifest) -> Any:  # noqa: ANN401 -- any JSON
    """The part of an object where something of the store may be named."""
    if manifest["kind"] == EMBEDDING_MODEL.kind:
        return manifest.get("status")
    if manifest["kind"] == POD.kind:
        return [end.message for container in container_states(manifest) if (end := last_end(container))]
    annotations = manifest["metadata"].get("annotations") if manifest["kind"] == DEPLOYMENT.kind else None
    return [annotations, [container.get("env") for container in manifest["spec"]["template"]["spec"]["containers"]]]


def _texts(value: Any) -> Iterator[str]:  # noqa: ANN401 -- any JSON
    if isinstance(value, Mapping):
        for key, item in value.items():
            if key not in HASHES:
                yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, str):
        document = _document(value)
        yield from [value] if document is None else _texts(document)


def _document(text: str) -> Any:  # noqa: ANN401 -- any JSON
    """The document that a text holds, as annotations and termination messages do."""
    if not text.startswith(("{", "[")):
        return None
    try:
        return json.loads(text)
    except ValueError:
        return None
