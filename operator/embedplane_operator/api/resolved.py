"""What a Deployment is made from once all is pinned, and its way through the annotation `embedplane.io/resolved`.

The annotation keeps the pinned commit and the vector space when the status is lost (a restore, `kubectl replace`).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from embedplane_operator.api.base import manifest_of
from embedplane_operator.api.status import EngineStatus, SourceStatus, VectorSpaceStatus

ANNOTATION = "embedplane.io/resolved"


@dataclass(frozen=True)
class Resolved:
    """A pinned source, its vector space and a published engine."""

    source: SourceStatus
    vector_space: VectorSpaceStatus
    engine: EngineStatus

    def to_json(self) -> str:
        """Return the annotation's text: the same for the same content."""
        parts = {"source": self.source, "vectorSpace": self.vector_space, "engine": self.engine}
        document = {name: manifest_of(part) for name, part in parts.items()}
        return json.dumps(document, sort_keys=True, separators=(",", ":"))


def read_resolved(annotations: Mapping[str, str]) -> Resolved | None:
    """Return what a Deployment was made from; None if it does not say so in a way we can read."""
    try:
        document = json.loads(annotations.get(ANNOTATION, "null"))
        return Resolved(
            source=SourceStatus.model_validate(document["source"]),
            vector_space=VectorSpaceStatus.model_validate(document["vectorSpace"]),
            engine=EngineStatus.model_validate(document["engine"]),
        )
    except (ValueError, KeyError, TypeError, ValidationError):
        return None
