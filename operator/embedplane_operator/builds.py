"""The builds that run in an installation, and the models that wait for their turn to build. Pure: reads what is.

A build Job counts from its creation to its end, for it is about to take a node's accelerator. One that does not start
counts for a while only: what it waits for may never come, and others must not wait for that too.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pydantic import ValidationError

from embedplane_operator.accelerator_profiles import AcceleratorProfile
from embedplane_operator.api.status import BuildTicket
from embedplane_operator.kinds import EMBEDDING_MODEL, Manifest
from embedplane_operator.render.pools import profile_of_pod
from embedplane_operator.troubles import parse_time

LONGEST_START = timedelta(minutes=30)


@dataclass(frozen=True)
class RunningBuild:
    """A build Job that has not ended."""

    namespace: str
    name: str
    profile: str | None
    """Of its accelerator; None is the CPU."""
    models: tuple[str, ...]
    """Names of those that wait for its engine."""


@dataclass(frozen=True, order=True)
class Waiting:
    """A model's place in line; the smaller comes first."""

    since: datetime
    namespace: str
    name: str
    profile: str | None = field(compare=False, default=None)


@dataclass(frozen=True)
class Builds:
    """All of an installation at one moment."""

    running: tuple[RunningBuild, ...] = ()
    waiting: tuple[Waiting, ...] = ()


def read_builds(
    models: Iterable[Manifest], jobs: Iterable[Manifest], profiles: Mapping[str, AcceleratorProfile], now: datetime
) -> Builds:
    """Reads EmbeddingModels and build Jobs."""
    running = tuple(_running(job, profiles) for job in jobs if is_running(job, now))
    return Builds(running, tuple(sorted(place for model in models if (place := waiting_of(model)))))


def is_running(job: Manifest, now: datetime) -> bool:
    """True while a build Job takes a place of the bound."""
    status, created = job.get("status") or {}, parse_time(job["metadata"].get("creationTimestamp"))
    if any(each.get("type") in ("Complete", "Failed") and each["status"] == "True" for each in _conditions(status)):
        return False
    return bool(status.get("ready")) or created is None or now - created < LONGEST_START


def waiting_of(model: Manifest) -> Waiting | None:
    """The place in line of an EmbeddingModel, as its status remembers it."""
    metadata, written = model["metadata"], (model.get("status") or {}).get("buildTicket")
    if written is None or "deletionTimestamp" in metadata:
        return None
    try:
        ticket = BuildTicket.model_validate(written)
    except ValidationError:
        return None
    return Waiting(ticket.since, metadata["namespace"], metadata["name"], ticket.profile)


def _running(job: Manifest, profiles: Mapping[str, AcceleratorProfile]) -> RunningBuild:
    metadata = job["metadata"]
    owners = (owner for owner in metadata.get("ownerReferences") or () if owner.get("kind") == EMBEDDING_MODEL.kind)
    return RunningBuild(
        namespace=metadata["namespace"],
        name=metadata["name"],
        profile=profile_of_pod(job["spec"]["template"]["spec"], profiles),
        models=tuple(sorted(owner["name"] for owner in owners)),
    )


def _conditions(status: Manifest) -> Iterable[Manifest]:
    return status.get("conditions") or ()
