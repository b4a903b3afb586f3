"""Whose turn it is to build, where the Helm value jobs.maxConcurrentBuilds bounds how many builds run at once. Pure.

The bound is for each accelerator profile, over all namespaces, since a pool of GPUs is what there is little of; builds
for CPUs are counted together. Who has waited longest comes first: a model's place in line stands in its status, so it
outlives the operator. `reconcile.py` lets one model at a time look and start.
"""

from dataclasses import replace
from datetime import datetime

from embedplane_operator.api.conditions import Reason
from embedplane_operator.api.status import BuildTicket
from embedplane_operator.builds import RunningBuild, Waiting
from embedplane_operator.decide.decision import CreateJob
from embedplane_operator.decide.steps import Outcome
from embedplane_operator.decide.way import Way
from embedplane_operator.render.pools import profile_of_pod
from embedplane_operator.status import Finding

LOOK_AGAIN_FIRST = 30.0
LOOK_AGAIN_LATER = 120.0
"""The end of a build wakes the first in line; this is for what nobody told."""


def in_turn(way: Way, outcome: Outcome) -> tuple[Outcome, BuildTicket | None]:
    """A build that would start, once it is its turn; until then the model's place in line."""
    bound, create = way.settings.jobs.build_bound, _start_in(outcome)
    if bound is None or create is None or (create.replaces and create.replaces.phase == "Running"):
        return outcome, None
    profile = profile_of_pod(create.manifest["spec"]["template"]["spec"], way.settings.accelerator_profiles)
    known = way.model.status.build_ticket
    ticket = known if known and known.profile == profile else BuildTicket(profile=profile, since=way.now)
    if way.observed.builds is None:
        return _waiting(outcome, Finding("False", Reason.BUILD_WAITING, "the builds that run are counted")), ticket
    running = [build for build in way.observed.builds.running if build.profile == profile]
    ahead = [each for each in way.observed.builds.waiting if each.profile == profile and _is_ahead(each, way, ticket)]
    if len(running) + len(ahead) < bound:
        return outcome, None
    words = _words(way.model.metadata.namespace, ticket, bound, running, ahead)
    later = LOOK_AGAIN_LATER if ahead else LOOK_AGAIN_FIRST
    return _waiting(outcome, Finding("False", Reason.BUILD_WAITING, words), later), ticket


def _start_in(outcome: Outcome) -> CreateJob | None:
    return next((action for action in outcome.actions if isinstance(action, CreateJob)), None)


def _waiting(outcome: Outcome, finding: Finding, later: float = LOOK_AGAIN_FIRST) -> Outcome:
    """The same without its start."""
    actions = tuple(action for action in outcome.actions if not isinstance(action, CreateJob))
    return replace(outcome, finding=finding, actions=actions, check_after=later)


def _is_ahead(other: Waiting, way: Way, ticket: BuildTicket) -> bool:
    metadata = way.model.metadata
    own = Waiting(ticket.since, metadata.namespace, metadata.name)
    return other < own and (other.namespace, other.name) != (own.namespace, own.name)


def _words(namespace: str, ticket: BuildTicket, bound: int, running: list[RunningBuild], ahead: list[Waiting]) -> str:
    kind = f"accelerator profile {ticket.profile}" if ticket.profile else "CPUs"
    words = f"waits since {_clock(ticket.since)} for its turn to build for {kind}: jobs.maxConcurrentBuilds is {bound}"
    builds = [f"{build.name} of {', '.join(build.models)}" for build in running if build.namespace == namespace]
    words += _listed("running", builds, len(running))
    models = [each.name for each in ahead if each.namespace == namespace]
    return words + _listed("waiting before it", models, len(ahead))


def _listed(what: str, own: list[str], total: int) -> str:
    """Names those of the model's own namespace; others' are nobody's business here."""
    if not total:
        return ""
    others = f"{total - len(own)} in other namespaces" if total > len(own) else ""
    return f"; {what}: {', '.join(filter(None, (*sorted(own), others)))}"


def _clock(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
