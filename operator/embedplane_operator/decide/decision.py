"""What a reconcile is about to do: plain data, made by `stages.py`, carried out by `apply.py`."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from embedplane_operator.api.accelerator import AcceleratorStatus
from embedplane_operator.api.status import (
    BuildTicket,
    CandidateStatus,
    EngineStatus,
    SourceStatus,
    SpaceStatus,
    UpstreamStatus,
    VectorSpaceStatus,
)
from embedplane_operator.jobs import JobRun
from embedplane_operator.kinds import Manifest
from embedplane_operator.no_room import NoRoom
from embedplane_operator.status import Findings


@dataclass(frozen=True)
class CreateJob:
    """Start a Job; `replaces` is the one of the same name that goes first."""

    manifest: Manifest
    replaces: JobRun | None = None


@dataclass(frozen=True)
class JoinJob:
    """Become one of the owners of a shared Job that somebody else started."""

    job: JobRun
    owner: Manifest
    triggers: Mapping[str, str]


@dataclass(frozen=True)
class LeaveJob:
    """Stop being an owner; the last one takes the Job along."""

    job: JobRun
    uid: str


JobAction = CreateJob | JoinJob | LeaveJob


@dataclass(frozen=True)
class Doomed:
    """An object of ours that is no longer wanted."""

    kind: str
    name: str
    uid: str


@dataclass(frozen=True)
class Mark:
    """Annotations of an object that others look at; None takes one away."""

    kind: str
    name: str
    uid: str
    annotations: Mapping[str, str | None]


@dataclass(frozen=True)
class Pinned:
    """The parts of status that are kept from one reconcile to the next."""

    source: SourceStatus | None = None
    vector_space: VectorSpaceStatus | None = None
    engine: EngineStatus | None = None


@dataclass(frozen=True)
class Decision:
    """Everything that follows from one observation."""

    findings: Findings
    pinned: Pinned = Pinned()
    shared: tuple[Manifest, ...] = ()
    """Objects of the namespace: applied, never deleted."""
    claim: Manifest | None = None
    """Created when absent, never altered."""
    apply: tuple[Manifest, ...] = ()
    jobs: tuple[JobAction, ...] = ()
    checks: tuple[JobAction, ...] = ()
    """Jobs that only look; that one cannot be started hinders nothing."""
    upstream: UpstreamStatus | None = None
    """What the source named when it was last asked."""
    delete: tuple[Doomed, ...] = ()
    shared_jobs: frozenset[str] = field(default_factory=frozenset)
    """Names of the shared Jobs that this model waits for; they have to be looked at before the next step is known."""
    build_ticket: BuildTicket | None = None
    """Its place in line for a build; whether it is its turn is known once the installation's builds were looked at."""
    marks: tuple[Mark, ...] = ()
    """What the spaces are from now on, noted at their Deployments and pods once all else is done."""
    spaces: tuple[SpaceStatus, ...] = ()
    """The spaces that are alive, where there may be several; what runs of them is added when it is reported."""
    candidate: CandidateStatus | None = None
    """What the spec leads to, while another space is active."""
    accelerator: AcceleratorStatus | None = None
    """The accelerator profile in use."""
    no_room: NoRoom | None = None
    """Where the build, or else every server, waits for a node of that profile."""
    serves: str | None = None
    """Name of the Deployment that serves the model, whichever spec it is of."""
    check_after: float | None = None
    """Seconds after which the model should come round again though nothing happened."""
