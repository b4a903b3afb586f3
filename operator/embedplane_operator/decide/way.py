"""The way from wishes to an engine: who goes it, from when on answers count, and its three steps as Jobs. Pure.

`preparation.py` takes the steps that are needed, `steps.py` runs one Job.
"""

from dataclasses import dataclass
from datetime import datetime

from embedplane_operator.api.conditions import JobReason, Reason
from embedplane_operator.api.repair import Lack, Repair
from embedplane_operator.api.v1alpha1 import EmbeddingModel
from embedplane_operator.decide.steps import Step, Waiter
from embedplane_operator.observation import Observation
from embedplane_operator.render.accelerator import engine_target
from embedplane_operator.render.build_job import render_build_job
from embedplane_operator.render.export_job import render_export_job
from embedplane_operator.render.fetch_job import render_fetch_job
from embedplane_operator.render.inputs import build_inputs, digest_of, export_inputs, fetch_inputs
from embedplane_operator.render.manifest import owner_of
from embedplane_operator.render.names import ANNOTATION_RESOLVE, build_job_name, export_job_name, fetch_job_name
from embedplane_operator.render.tensorrt_llm import Exactness
from embedplane_operator.settings import Settings

GONE_FROM_STORE = frozenset(
    {JobReason.MODEL_MISSING, JobReason.MODEL_CORRUPT, JobReason.EXPORT_MISSING, JobReason.EXPORT_CORRUPT}
)


@dataclass(frozen=True)
class Way:
    """What the stages need to know, and nothing that changes on the way."""

    observed: Observation
    settings: Settings
    now: datetime
    repair: Repair | None = None
    """What is done about the engine that serves, if it is still the one that is wanted."""

    @property
    def model(self) -> EmbeddingModel:
        """The model that is looked after."""
        return self.observed.model

    @property
    def waiter(self) -> Waiter:
        """The model as one that waits for Jobs."""
        metadata = self.model.metadata
        parts = [metadata.generation, metadata.annotations.get(ANNOTATION_RESOLVE), self.observed.secret_version]
        if self.observed.store_secret_version:
            parts.append(self.observed.store_secret_version)
        return Waiter(owner_of(self.model), digest_of(parts)[:16])

    @property
    def outdated(self) -> datetime | None:
        """When a Job or a server last found that what an earlier step made is not in the store any more."""
        gone = [
            job.finished
            for job in self.observed.jobs
            if job.is_owned_by(self.model.metadata.uid)
            and job.finished
            and job.trouble
            and job.trouble.reason in GONE_FROM_STORE
        ]
        return max([*gone, *([self.lack.ended] if self.lack else [])], default=None)

    @property
    def texts(self) -> str | None:
        """Digest of the user's own texts, which engines are proven with as well."""
        return self.observed.texts_digest

    @property
    def lack(self) -> Lack | None:
        """Why the engine is built again."""
        return self.repair.lack if self.repair else None

    def has(self, engine_key: object) -> bool:
        """True if an engine of this key can be taken as it is; False if servers could not load it."""
        return self.repair is None or self.repair.lack is None or self.repair.engine != engine_key


def fetch_step(way: Way, commit: str | None) -> Step:
    """The fetch: of a pinned commit, or of what the user named."""
    model, target = way.model, engine_target(way.model, way.settings, way.texts).identity()
    inputs = digest_of({"fetch": fetch_inputs(model), "engine": target})
    return Step(
        name=fetch_job_name(model, inputs),
        inputs=inputs,
        running=Reason.FETCH_RUNNING,
        doing="the source is being resolved and downloaded",
        render=lambda request: render_fetch_job(model, way.settings, request, commit, way.texts),
        since=way.outdated,
    )


def export_step(way: Way, digest: str) -> Step:
    """The export of a model in the store."""
    inputs = export_inputs(way.model, way.settings, digest, way.texts)
    return Step(
        name=export_job_name(inputs),
        inputs=inputs,
        running=Reason.EXPORT_RUNNING,
        doing="the graph and the reference vectors are being made",
        render=lambda request: render_export_job(way.model, way.settings, request, digest, way.texts),
        since=way.outdated,
    )


def build_step(way: Way, export_key: str, exactness: Exactness | None = None) -> Step:
    """The build of an export; where a server found no engine, near to it.

    A build for a kind of machine is a Job of its own: one of another model may run on another kind.
    """
    inputs = build_inputs(way.model, way.settings, export_key, way.texts, exactness)
    near = way.lack.node if way.lack else None
    if way.lack and way.lack.machine:
        inputs = digest_of({"build": inputs, "machine": way.lack.machine})
    return Step(
        name=build_job_name(inputs),
        inputs=inputs,
        running=Reason.BUILD_RUNNING,
        doing="the engine is being compiled, checked against the reference and measured",
        render=lambda request: render_build_job(
            way.model, way.settings, request, export_key, near, way.texts, exactness
        ),
        since=way.lack.ended if way.lack else None,
    )
