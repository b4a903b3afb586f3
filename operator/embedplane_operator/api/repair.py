"""What is done about an engine that servers cannot load, and its way through the annotation `embedplane.io/repair`.

It stands on the Deployment whose servers said so, because it must outlive them: they go to make room for the build,
which the autoscaler reads here. So an engine is built once for each kind of machine, not again and again.
"""

import json
from collections.abc import Mapping
from datetime import datetime

from pydantic import ValidationError

from embedplane_operator.api.base import ApiModel, Timestamp, manifest_of

ANNOTATION = "embedplane.io/repair"


class Lack(ApiModel):
    """What a server found that has no engine to load."""

    reason: str
    """EngineMissing, EngineCorrupt or EngineIncompatible."""
    message: str = ""
    machine: str = ""
    """Class of the machine that nothing fits; empty when the engine is missing, or damaged, for all."""
    node: str | None = None
    """Where the server ran."""
    ended: Timestamp
    """When the server ended with it."""


class Repair(ApiModel):
    """What was tried for one engine, and what is being tried."""

    engine: str
    """Key of the engine."""
    lack: Lack | None = None
    """What the engine is being built for now; servers make room as long as none of them is ready."""
    done: Mapping[str, Timestamp] = {}
    """By class of machine (empty: for a missing engine): when a build for it ended."""

    def needs(self, lack: Lack) -> "Repair":
        """The record once this is being dealt with."""
        return self.model_copy(update={"lack": lack})

    def built(self, now: datetime) -> "Repair":
        """The record once the engine was built; where it was missing, the variants of other machines are gone too."""
        if self.lack is None:
            return self
        earlier = self.done if self.lack.machine else {}
        return Repair(engine=self.engine, done={**earlier, self.lack.machine: now})

    def mended(self) -> "Repair":
        """The record once every server is ready; what was missing may get lost, and be built, another time."""
        return Repair(engine=self.engine, done={machine: at for machine, at in self.done.items() if machine})

    def to_json(self) -> str | None:
        """The annotation's text; None when there is nothing to remember."""
        if self.lack is None and not self.done:
            return None
        return json.dumps(manifest_of(self), sort_keys=True, separators=(",", ":"))


def read_repair(annotations: Mapping[str, str], engine: str) -> Repair:
    """The record of an engine; a fresh one when there is none, or only of another engine."""
    try:
        found = Repair.model_validate_json(annotations.get(ANNOTATION, "null"))
    except ValidationError:
        return Repair(engine=engine)
    return found if found.engine == engine else Repair(engine=engine)
