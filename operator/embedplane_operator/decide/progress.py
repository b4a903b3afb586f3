"""What the stages of one decision found so far, and which Jobs are waited for, spared or left. Pure."""

from dataclasses import dataclass, field

from embedplane_operator.api.conditions import ConditionType
from embedplane_operator.api.status import BuildTicket
from embedplane_operator.decide.decision import JobAction, LeaveJob
from embedplane_operator.decide.preparation import Stage
from embedplane_operator.decide.resolution import pinned_source, pinned_space
from embedplane_operator.decide.spaces import Spaces
from embedplane_operator.decide.way import Way
from embedplane_operator.no_room import NoRoom
from embedplane_operator.render.names import FETCH
from embedplane_operator.status import Finding


@dataclass
class Progress:
    """What the stages found so far; lives for one decision."""

    way: Way
    spaces: Spaces
    findings: dict[ConditionType, Finding] = field(default_factory=dict)
    jobs: set[str] = field(default_factory=set)
    actions: list[JobAction] = field(default_factory=list)
    checks: list[float] = field(default_factory=list)
    no_room: NoRoom | None = None
    """Where the build, or else every server, waits for a node."""
    build: str | None = None
    build_ticket: BuildTicket | None = None
    is_early: bool = False
    """The way ended before its last Job."""

    def take(self, stage: Stage) -> None:
        """Keeps what a stage wants done."""
        self.jobs.update(stage.jobs)
        self.actions.extend(stage.actions)
        self.is_early, self.no_room = stage.is_early, stage.no_room
        self.build, self.build_ticket = stage.build, stage.build_ticket
        if stage.check_after is not None:
            self.checks.append(stage.check_after)


def stale_jobs(progress: Progress, *, is_done: bool) -> list[LeaveJob]:
    """Jobs of other inputs; once the model is served, all Jobs.

    A step that runs again only because its answer was lost (its pod is gone) ends no Job of a later step.
    """
    spares_later = _may_be_later(progress)
    uid = progress.way.model.metadata.uid
    owned = [job for job in progress.way.observed.jobs if job.is_owned_by(uid) and not job.deleting]
    return [
        LeaveJob(job, uid)
        for job in owned
        if is_done or (job.name not in progress.jobs and not (spares_later and job.step != FETCH))
    ]


def _may_be_later(progress: Progress) -> bool:
    """True where the wishes are those that the later Jobs were started for."""
    way, spaces = progress.way, progress.spaces
    is_pinned = pinned_source(way.model, spaces) is not None and pinned_space(way.model, spaces) is not None
    return progress.is_early and is_pinned


def shared_jobs(progress: Progress, leaving: list[LeaveJob]) -> frozenset[str]:
    """Those that are waited for, and those that are only spared: one that is lost sight of would stay for ever."""
    model = progress.way.model.metadata
    owned = {job.name for job in progress.way.observed.jobs if job.is_owned_by(model.uid)}
    names = progress.jobs | (owned - {left.job.name for left in leaving})
    return frozenset(name for name in names if not name.startswith(f"{model.name}-fetch-"))
