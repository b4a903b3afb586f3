"""What is noted at Deployments and pods about their space, and what the status lists of the spaces. Pure.

A Deployment's notes outlive a lost status. A pod's note is what its server reads, to close the connections of a space
that retires. Both stand beside the pods' template, so that no rollout comes of them.
"""

from collections.abc import Iterator
from datetime import UTC

from embedplane_operator.api.roles import ANNOTATION_RETIRING_SINCE, ANNOTATION_ROLE, Role
from embedplane_operator.api.status import SpaceStatus
from embedplane_operator.api.v1alpha1 import EmbeddingModel
from embedplane_operator.decide.decision import Mark
from embedplane_operator.decide.spaces import Live, Place, Plan, Spaces
from embedplane_operator.kinds import DEPLOYMENT, POD
from embedplane_operator.observation import Observation
from embedplane_operator.render.names import LABEL_VECTOR_SPACE, candidate_name, service_name, space_label


def marks_of(observed: Observation, spaces: Spaces, plan: Plan) -> tuple[Mark, ...]:
    """What has to be noted anew; nothing where there is one space, and there was never to be another."""
    if not are_several(observed.model, spaces):
        return ()
    return tuple(_marks(observed, spaces, plan))


def are_several(model: EmbeddingModel, spaces: Spaces) -> bool:
    """True where more than one space is alive, or may be."""
    is_noted = any(live.role or live.retiring_since for live in spaces.lives)
    return model.spec.vector_space_policy == "SideBySide" or len(spaces.lives) > 1 or is_noted


def _marks(observed: Observation, spaces: Spaces, plan: Plan) -> Iterator[Mark]:
    for live in spaces.lives:
        if (place := plan.places.get(live.space)) is None:
            continue
        if news := _news(live, place):
            yield Mark(DEPLOYMENT.kind, live.name, live.deployment["metadata"]["uid"], news)
        # also where the spec still leads to it: what was pooled to the active space has to move
        role = Role.RETIRING if place.retiring_since else None
        for pod in observed.servers.pods:
            metadata = pod["metadata"]
            is_its = (metadata.get("labels") or {}).get(LABEL_VECTOR_SPACE) == space_label(live.space)
            noted = (metadata.get("annotations") or {}).get(ANNOTATION_ROLE)
            if is_its and "deletionTimestamp" not in metadata and noted != role:
                yield Mark(POD.kind, metadata["name"], metadata["uid"], {ANNOTATION_ROLE: role})


def _news(live: Live, place: Place) -> dict[str, str | None]:
    since = place.retiring_since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if place.retiring_since else None
    wanted = {ANNOTATION_ROLE: str(place.role), ANNOTATION_RETIRING_SINCE: since}
    return {name: value for name, value in wanted.items() if live.annotations.get(name) != value}


def listed(model: EmbeddingModel, spaces: Spaces, plan: Plan) -> tuple[SpaceStatus, ...]:
    """The spaces as the status has them, the active one first; a candidate that is still made is one too."""
    if not are_several(model, spaces):
        return ()
    found = [_listed(model, spaces.find(space), space, place) for space, place in plan.places.items()]
    if plan.wanted not in (None, plan.active, *plan.places) and not plan.is_full and _is_beside(model):
        found.append(_listed(model, None, str(plan.wanted), Place(Role.CANDIDATE)))
    return tuple(sorted(found, key=lambda each: (list(Role).index(each.role), each.id)))


def _is_beside(model: EmbeddingModel) -> bool:
    return model.spec.vector_space_policy == "SideBySide"


def _listed(model: EmbeddingModel, live: Live | None, space: str, place: Place) -> SpaceStatus:
    services = {Role.ACTIVE: service_name(model), Role.CANDIDATE: candidate_name(model)}
    return SpaceStatus(
        id=space,
        role=place.role,
        deployment=live.name if live else None,
        service=services.get(place.role) if live else None,
        retiring_since=place.retiring_since,
    )
