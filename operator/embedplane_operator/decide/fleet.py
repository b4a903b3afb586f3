"""The servers of all spaces of a model, and what stands in front of them: what is applied, and what goes. Pure.

`spaces.py` decides which space is what; `stages.py` finds out what the newest spec resolves to.
"""

from dataclasses import dataclass
from functools import cached_property

from embedplane_operator.api.resolved import Resolved
from embedplane_operator.decide.decision import Doomed
from embedplane_operator.decide.own_texts import missing_texts
from embedplane_operator.decide.repair import finished_repair
from embedplane_operator.decide.resolution import below_the_floor, known_engine
from embedplane_operator.decide.serving import (
    candidate_manifests,
    endpoint_manifests,
    leftovers,
    missing_api_keys,
    servers_of,
)
from embedplane_operator.decide.spaces import Live, Plan, Spaces
from embedplane_operator.decide.way import Way
from embedplane_operator.kinds import Manifest
from embedplane_operator.render.deployment import render_deployment
from embedplane_operator.render.inputs import source_inputs
from embedplane_operator.render.names import deployment_name


def same_engine(way: Way, live: Live) -> Resolved | None:
    """What a Deployment serves, if source and engine are still what the spec asks for, so that other changes reach it.

    A new source or engine must not: its names, image or flags would be put around the old one.
    """
    if live.resolved.source.inputs != source_inputs(way.model) or missing_api_keys(way.observed):
        return None
    if missing_texts(way.observed):
        return None
    alone = Spaces(live.space, (live,))
    engine = known_engine(way.model, way.settings, live.resolved.vector_space.base_id, alone, way.texts)
    if engine is None or engine.key != live.resolved.engine.key or below_the_floor(way.model, engine):
        return None
    return live.resolved


@dataclass(frozen=True)
class Fleet:
    """Who serves what from now on."""

    way: Way
    spaces: Spaces
    plan: Plan
    resolved: Resolved | None
    """What the newest spec resolves to; None while that may not, or cannot yet, be served."""

    @property
    def active_name(self) -> str | None:
        """Name of the Deployment that the main Service serves."""
        live = self.spaces.find(self.plan.active)
        if live or not self._newest or self.plan.active != self._newest.vector_space.id:
            return live.name if live else None
        return deployment_name(self.way.model, self._newest.vector_space.id)

    @property
    def newest_name(self) -> str | None:
        """Name of the Deployment of what the newest spec resolves to."""
        return deployment_name(self.way.model, self.resolved.vector_space.id) if self.resolved else None

    @property
    def _newest(self) -> Resolved | None:
        """The newest, once there is room for its servers."""
        return self.resolved if self.plan.has_room else None

    @cached_property
    def manifests(self) -> tuple[Manifest, ...]:
        """All that serves; at least the endpoints of what serves already."""
        model, settings = self.way.model, self.way.settings
        deployments = self._deployments()
        alive = {*self.plan.places, *([self._newest.vector_space.id] if self._newest else [])}
        fronts: list[Manifest] = []
        if self.plan.active and (self.spaces.is_served or self.plan.active in alive):
            fronts += endpoint_manifests(model, settings, self.plan.active)
        if self.plan.wanted in alive and (len(alive) > 1 or self.plan.wanted != self.plan.active):
            fronts += candidate_manifests(model, settings, self.plan)
        return (*deployments, *fronts)

    @property
    def leftovers(self) -> tuple[Doomed, ...]:
        """What goes: nothing while it is not known what the spec leads to, or that cannot take over yet."""
        if self.plan.wanted is None or not (self.resolved or self.spaces.is_served):
            return ()
        return leftovers(self.way.observed, self.manifests, {*self.plan.places, str(self.plan.active)})

    def _deployments(self) -> list[Manifest]:
        found, newest = [], self._newest
        if newest:
            found.append(self._rendered(newest))
        for live in self.spaces.lives:
            is_newest = newest is not None and live.space == newest.vector_space.id
            if live.space in self.plan.places and not is_newest and (same := same_engine(self.way, live)):
                found.append(self._rendered(same, live))
        return found

    def _rendered(self, resolved: Resolved, live: Live | None = None) -> Manifest:
        """A Deployment, with the record of what was done about its engine; only the wanted one is built again."""
        repair, key = self.way.repair, resolved.engine.key
        if live is None:
            repair = finished_repair(repair, key, self.way.now) if repair else None
        elif repair is None or repair.engine != key:
            repair = servers_of(self.way.observed, live.name).repair.mended()
        return render_deployment(self.way.model, self.way.settings, resolved, repair)
