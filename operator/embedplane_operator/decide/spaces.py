"""Which vector spaces of a model are alive, which one the main Service serves, and what becomes of the others. Pure.

A space is a Deployment. The main Service's selector says which is active, so that a cut-over is one write; all else
follows from the spec, and from what the Deployments' annotations remember. `stability.py` says it in words.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from embedplane_operator.api.durations import span_of
from embedplane_operator.api.resolved import Resolved, read_resolved
from embedplane_operator.api.roles import Role, read_retiring_since, read_role
from embedplane_operator.api.v1alpha1 import EmbeddingModel
from embedplane_operator.decide.dimensions import with_dimensions
from embedplane_operator.kinds import Manifest
from embedplane_operator.observation import Observation
from embedplane_operator.render.inputs import fetch_inputs, source_inputs
from embedplane_operator.render.names import LABEL_VECTOR_SPACE, served_space, space_of_label


@dataclass(frozen=True)
class Live:
    """A Deployment of one vector space, and what it was made from."""

    deployment: Manifest
    resolved: Resolved

    @property
    def name(self) -> str:
        """The Deployment's name."""
        return str(self.deployment["metadata"]["name"])

    @property
    def space(self) -> str:
        """The name of its vector space, a shorter length included."""
        return self.resolved.vector_space.id

    @property
    def ready(self) -> int:
        """How many of its pods take requests."""
        return int((self.deployment.get("status") or {}).get("readyReplicas") or 0)

    @property
    def has_servers(self) -> bool:
        """True while servers are wanted, or still there."""
        status = self.deployment.get("status") or {}
        return bool((self.deployment.get("spec") or {}).get("replicas", 1) or status.get("replicas"))

    @property
    def role(self) -> Role | None:
        """The role that was noted last."""
        return read_role(self.annotations)

    @property
    def retiring_since(self) -> datetime | None:
        """When it was noted to have stopped being the active one."""
        return read_retiring_since(self.annotations)

    @property
    def annotations(self) -> Mapping[str, str]:
        """Those of the Deployment itself."""
        return self.deployment["metadata"].get("annotations") or {}


@dataclass(frozen=True)
class Spaces:
    """The spaces of one model that are alive, the oldest first."""

    active_space: str | None
    """Name of the space that the main Service serves, whether its Deployment is there or not; None before the first."""
    lives: tuple[Live, ...] = ()
    is_served: bool = True
    """False while nothing was served yet, so that no vectors exist."""

    @property
    def active(self) -> Live | None:
        """The Deployment behind the main Service."""
        return self.find(self.active_space)

    @property
    def newest_first(self) -> tuple[Live, ...]:
        """What was made last comes first: it is of the newest wishes."""
        return self.lives[::-1]

    def find(self, space: str | None) -> Live | None:
        """The Deployment of a space."""
        return next((live for live in self.lives if live.space == space), None)

    def of_wishes(self, model: EmbeddingModel) -> Live | None:
        """The Deployment of what the spec asks for, if it was made for these very wishes."""
        wanted = (source_inputs(model), fetch_inputs(model))
        for live in self.lives:
            space = live.resolved.vector_space
            served = with_dimensions(space, model.spec.embedding.dimensions)
            if (live.resolved.source.inputs, space.inputs) == wanted and served.id == space.id:
                return live
        return None


def read_spaces(observed: Observation) -> Spaces:
    """What is alive, and which of it is active: by the Service, else as it was noted, else by the status."""
    lives = []
    for deployment in observed.deployments:
        resolved = read_resolved(deployment["metadata"].get("annotations") or {})
        if resolved and belongs_to(deployment, observed.model) and "deletionTimestamp" not in deployment["metadata"]:
            lives.append(Live(deployment, resolved))
    lives.sort(key=lambda live: str(live.deployment["metadata"].get("creationTimestamp")))
    active = _active_space(observed, lives)
    spaces = Spaces(active, tuple(lives))
    return replace(spaces, is_served=active is not None and _was_served(observed, spaces))


def _active_space(observed: Observation, lives: list[Live]) -> str | None:
    status, selected = observed.model.status, selected_space(observed.service, observed.model)
    if selected in [live.space for live in lives]:
        return selected
    if noted := next((live for live in lives if live.role is Role.ACTIVE), None):
        return noted.space
    if selected:
        return selected  # its Deployment is gone, or cannot be read
    if status.vector_space and status.served_generation is not None:
        return status.vector_space.id
    if first := min([live for live in lives if live.role is None], key=lambda live: not live.ready, default=None):
        return first.space
    # what it was made from is lost: the name of its space still stands at a Deployment
    owned = (each for each in observed.deployments if belongs_to(each, observed.model))
    return next(filter(None, map(served_space, owned)), None)


def selected_space(service: Manifest | None, model: EmbeddingModel) -> str | None:
    """The space that a Service of the model sends requests to."""
    if service is None or not belongs_to(service, model):
        return None
    label = ((service.get("spec") or {}).get("selector") or {}).get(LABEL_VECTOR_SPACE)
    return space_of_label(str(label)) if label else None


def _was_served(observed: Observation, spaces: Spaces) -> bool:
    status = observed.model.status
    if status.observed_generation is None or status.served_generation is not None:
        return True
    if spaces.active:
        return spaces.active.ready > 0
    # nobody can say what a Deployment did that cannot be read
    readable = {live.name for live in spaces.lives}
    owned = [each["metadata"]["name"] for each in observed.deployments if belongs_to(each, observed.model)]
    return any(name not in readable for name in owned)


def belongs_to(child: Manifest, model: EmbeddingModel) -> bool:
    """True unless another object owns it, such as a deleted model of the same name."""
    owners = child["metadata"].get("ownerReferences") or ()
    return not owners or any(owner.get("uid") == model.metadata.uid for owner in owners)


@dataclass(frozen=True)
class Place:
    """What a space is from now on."""

    role: Role
    retiring_since: datetime | None = None


@dataclass(frozen=True)
class Plan:
    """What becomes of the spaces."""

    active: str | None
    """Name of the space that the main Service serves from now on; None: nothing was served yet."""
    wanted: str | None
    """Name of the space that the spec leads to; None while that is not known."""
    places: Mapping[str, Place]
    """By name, the spaces that are alive and stay."""
    going: tuple[Live, ...] = ()
    """Those that nobody wants any more."""
    check_after: float | None = None

    @property
    def is_full(self) -> bool:
        """True where the wanted space has to wait, because two others are kept."""
        return self.wanted not in (None, self.active, *self.places) and len(self.places) > 1

    @property
    def has_room(self) -> bool:
        """True where the wanted space may have its servers now: what goes has to be gone first."""
        return not self.is_full and (self.wanted in (self.active, *self.places) or not self.going)


def plan_spaces(spaces: Spaces, model: EmbeddingModel, wanted: str | None, now: datetime) -> Plan:
    """Decides about every space; `wanted` is what the spec leads to, None while that is not known."""
    active = _next_active(spaces, model) if spaces.is_served else wanted or spaces.active_space
    is_beside = model.spec.vector_space_policy == "SideBySide"
    places: dict[str, Place] = {}
    going, checks = [], []
    for live in spaces.lives:
        since = _retiring_since(live, spaces, active, now)
        if live.space == active:
            places[live.space] = Place(Role.ACTIVE)
        elif live.space == wanted and is_beside:
            places[live.space] = Place(Role.CANDIDATE, since)
        elif wanted is None and since is None:
            places[live.space] = Place(Role.CANDIDATE)  # it may turn out to be the wanted one
        elif since is not None and ((left := _left(since, model, now)) > 0 or live.has_servers or wanted is None):
            places[live.space] = Place(Role.RETIRING, since)
            checks.extend([left] if left > 0 else [])
        else:
            going.append(live)
    return Plan(active, wanted, places, tuple(going), min(checks, default=None))


def _next_active(spaces: Spaces, model: EmbeddingModel) -> str | None:
    """The space that the main Service is to serve: the one that the spec names, once it can take all requests."""
    is_allowed = model.spec.vector_space_policy == "SideBySide"
    active, target = spaces.active, spaces.find(model.spec.active_vector_space) if is_allowed else None
    if target is None or not has_enough(target, active):
        return spaces.active_space
    if active and active.role is not Role.ACTIVE:
        return spaces.active_space  # it is noted first what it was, so that it is known later that it served
    return target.space


def has_enough(target: Live, active: Live | None) -> bool:
    """True if a space has as many servers as take requests now."""
    return target.ready >= max(1, active.ready if active else 0)


def _retiring_since(live: Live, spaces: Spaces, active: str | None, now: datetime) -> datetime | None:
    if live.space == active or not spaces.is_served:
        return None
    was_active = live.space == spaces.active_space or live.role in (Role.ACTIVE, Role.RETIRING)
    return live.retiring_since or (now if was_active else None)


def _left(since: datetime, model: EmbeddingModel, now: datetime) -> float:
    """Seconds for which a retiring space is kept whatever happens."""
    return (since + span_of(model.spec.retire_after) - now).total_seconds()
