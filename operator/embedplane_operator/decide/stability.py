"""What is said of the vector space: that it stays, that another one is refused, waits, or is served beside it. Pure.

`spaces.py` decides what becomes of the spaces; here are the words, and whether the wanted one may be served at all.
"""

from dataclasses import dataclass

from embedplane_operator.api.conditions import Reason
from embedplane_operator.api.roles import Role
from embedplane_operator.api.status import VectorSpaceStatus
from embedplane_operator.api.v1alpha1 import EmbeddingModel
from embedplane_operator.decide.difference import what_differs
from embedplane_operator.decide.spaces import Live, Plan, Spaces, has_enough
from embedplane_operator.render.names import candidate_name, deployment_name
from embedplane_operator.status import Finding, Outlook, met


@dataclass(frozen=True)
class Verdict:
    """What is found about the wanted space."""

    finding: Finding
    is_admitted: bool = True
    """False: it may not be served, or not now."""


@dataclass(frozen=True)
class Question:
    """A wanted space, and what it is compared with."""

    model: EmbeddingModel
    spaces: Spaces
    plan: Plan
    wanted: VectorSpaceStatus

    @property
    def active(self) -> str | None:
        """The space that the main Service serves from now on."""
        return self.plan.active

    @property
    def is_another(self) -> bool:
        """True where the spec leads to another space than the active one."""
        return self.wanted.id != self.active

    @property
    def is_beside(self) -> bool:
        """True where two spaces may be served side by side."""
        return self.model.spec.vector_space_policy == "SideBySide"


def judge(question: Question) -> Verdict:
    """Whether the wanted space may be served, and what `VectorSpaceStable` says."""
    wish = question.model.spec.active_vector_space
    if not question.spaces.is_served:
        if question.is_beside and wish not in (None, question.wanted.id):
            return Verdict(_unknown_space(question.model, question.plan), is_admitted=False)
        return Verdict(_unchanged(question))
    if question.is_another and not question.is_beside:
        return Verdict(_refused_change(question), is_admitted=False)
    if question.plan.is_full:
        return Verdict(_no_room(question), is_admitted=False)
    if waiting := waiting_cutover(question.model, question.spaces, question.plan):
        return Verdict(waiting)
    return Verdict(_side_by_side(question) if question.is_another else _unchanged(question))


def waiting_cutover(model: EmbeddingModel, spaces: Spaces, plan: Plan) -> Finding | None:
    """Why the main Service does not serve the space that spec.activeVectorSpace names."""
    wish = model.spec.active_vector_space
    if not spaces.is_served or wish in (None, plan.active):
        return None
    if model.spec.vector_space_policy != "SideBySide":
        words = (
            f"spec.activeVectorSpace names {wish}, but {plan.active} is served, and spec.vectorSpacePolicy is Refuse: "
            f"set it to SideBySide to cut over, or activeVectorSpace to {plan.active}"
        )
        return Finding("False", Reason.VECTOR_SPACE_CHANGE_REFUSED, words, Outlook.STALLED)
    if target := spaces.find(wish):
        return Finding("False", Reason.CUTOVER_WAITING, _missing_servers(model, spaces, target))
    # it may be what the spec leads to: then it is being made, or its source is not read yet
    return None if plan.wanted in (None, wish) else _unknown_space(model, plan)


def _missing_servers(model: EmbeddingModel, spaces: Spaces, target: Live) -> str:
    wish, active = target.space, spaces.active
    needed = max(1, active.ready if active else 0)
    if has_enough(target, active):
        return f"the main Service is about to move to {wish}"
    by_hand = (
        f"; the autoscaler leaves replicas alone: kubectl scale deployment {target.name} --replicas={needed}"
        if model.spec.scaling.mode == "Disabled" or model.spec.scaling.paused
        else ""
    )
    return (
        f"{target.ready} of {needed} servers of {wish} take requests, as many as serve {spaces.active_space} now: the "
        f"main Service moves when all do{by_hand}"
    )


def _unknown_space(model: EmbeddingModel, plan: Plan) -> Finding:
    known = dict.fromkeys(space for space in (plan.active, *plan.places, plan.wanted) if space)
    words = (
        f"spec.activeVectorSpace names {model.spec.active_vector_space}, which is neither served nor what the spec "
        f"leads to: set it to {' or '.join(known)}, or remove it"
    )
    return Finding("False", Reason.UNKNOWN_VECTOR_SPACE, words, Outlook.STALLED)


def _refused_change(question: Question) -> Finding:
    is_other_length = str(question.active).partition(";")[0] == question.wanted.base_id
    fields = "spec.embedding.dimensions.default leads" if is_other_length else "spec.source and spec.embedding lead"
    by_request = " let requests ask for the length (spec.embedding.dimensions.allowed)," if is_other_length else ""
    words = (
        f"{fields} to the vector space {question.wanted.id}, but {question.active} is served, and vectors of the two "
        f"cannot be compared. {_differs(question)}: undo the change,{by_request} set spec.vectorSpacePolicy to "
        "SideBySide to serve the new space beside the old one, or serve it under another EmbeddingModel; then embed "
        "your texts again"
    )
    return Finding("False", Reason.VECTOR_SPACE_CHANGE_REFUSED, words, Outlook.STALLED)


def _no_room(question: Question) -> Finding:
    plan, spaces = question.plan, question.spaces
    kept = next(space for space, place in plan.places.items() if place.role is Role.RETIRING)
    live = spaces.find(kept)
    words = (
        f"the spec leads to the vector space {question.wanted.id}, but two are alive, {plan.active} and {kept}: it is "
        f"made once {kept} is gone. {kept_until(question.model, plan, kept)}; to have it gone now, delete the "
        f"Deployment {live.name if live else ''}"
    )
    return Finding("False", Reason.CANDIDATE_WAITING, words)


def _side_by_side(question: Question) -> Finding:
    name, wanted = candidate_name(question.model), question.wanted.id
    if wanted not in question.plan.places:
        is_next = question.model.spec.active_vector_space == wanted
        then = " and takes over once its servers are ready" if is_next else ""
        made = f"{question.active} is served, and {wanted} is being made{then}. {_differs(question)}"
        return met(Reason.SIDE_BY_SIDE, made)
    words = (
        f"{question.active} is served, and {wanted} beside it at the Service {name}. {_differs(question)}: embed your "
        f"texts there, then set spec.activeVectorSpace to {wanted} to cut over, or undo the change"
    )
    return met(Reason.SIDE_BY_SIDE, words)


def _unchanged(question: Question) -> Finding:
    words = f"the vector space is {question.wanted.id}"
    retiring = [space for space, place in question.plan.places.items() if place.role is Role.RETIRING]
    for space in retiring:
        words += f"; {kept_until(question.model, question.plan, space)}, and can be returned to by "
        words += f"spec.activeVectorSpace: {space}"
    return met(Reason.UNCHANGED, words)


def kept_until(model: EmbeddingModel, plan: Plan, space: str) -> str:
    """How long a retiring space is kept, in words."""
    since = plan.places[space].retiring_since
    return (
        f"{space} retires since {since:%Y-%m-%d %H:%M} UTC and is kept for {model.spec.retire_after}, then until its "
        f"Deployment {deployment_name(model, space)} is scaled to 0, which the autoscaler does when no request comes"
    )


def _differs(question: Question) -> str:
    live = question.spaces.find(question.active)
    known = live.resolved.vector_space if live else question.model.status.vector_space
    return what_differs(known if known and known.id == question.active else None, question.wanted)
