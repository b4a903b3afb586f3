"""What this installation cannot do for a model, found before anything is started. Pure."""

from embedplane_operator.api.conditions import Reason
from embedplane_operator.api.v1alpha1 import EmbeddingModel
from embedplane_operator.kinds import Manifest
from embedplane_operator.observation import Observation
from embedplane_operator.render.accelerator import UnknownAcceleratorError, profile_named
from embedplane_operator.render.names import LABEL_INSTALLATION, LABEL_MANAGED_BY, LABEL_MODEL, MANAGED_BY
from embedplane_operator.settings import Settings
from embedplane_operator.status import Finding, Outlook


def spec_refusal(model: EmbeddingModel, settings: Settings) -> Finding | None:
    """Why this installation cannot do what the spec asks for."""
    return unknown_accelerator(model, settings) or _unshared_store(model, settings)


def unknown_accelerator(model: EmbeddingModel, settings: Settings) -> Finding | None:
    """Which of the profiles that the model names this installation does not have."""
    try:
        for name in model.spec.accelerator.in_order if model.spec.accelerator else ():
            profile_named(name, settings)
    except UnknownAcceleratorError as error:
        return Finding("False", Reason.UNKNOWN_ACCELERATOR, str(error), Outlook.STALLED)
    return None


def _unshared_store(model: EmbeddingModel, settings: Settings) -> Finding | None:
    if settings.store.is_shared or model.spec.scaling.max_replicas == 1:
        return None
    words = (
        "spec.scaling.maxReplicas is above 1, but the store of this installation is ReadWriteOnce, so that all servers "
        "would have to run on one node: set maxReplicas to 1, or in the Helm values store.accessMode to ReadWriteMany "
        "or store.url to object storage"
    )
    return Finding("False", Reason.STORE_NOT_SHARED, words, Outlook.STALLED)


def taken_name(observed: Observation, settings: Settings) -> Finding | None:
    """Whose a child is, if it is not the model's."""
    children = (observed.service, observed.disruption_budget, *observed.deployments, *observed.fetch_jobs)
    refusals = (ownership_refusal(found, observed.model, settings) for found in children if found is not None)
    return next(filter(None, refusals), None)


def ownership_refusal(found: Manifest, model: EmbeddingModel | None, settings: Settings) -> Finding | None:
    """Why an object of a child's name is not touched; `model` None: an object that models of a namespace share."""
    labels = found["metadata"].get("labels") or {}
    what = f"{found['kind']} {found['metadata']['namespace']}/{found['metadata']['name']}"
    if labels.get(LABEL_MANAGED_BY) != MANAGED_BY:
        words = f"{what} exists and does not belong to Embedplane: delete or rename it, or choose another model name"
        return Finding("False", Reason.NAME_CONFLICT, words, Outlook.STALLED)
    if labels.get(LABEL_INSTALLATION, settings.installation) != settings.installation:
        words = (
            f"{what} belongs to the Embedplane installation {labels[LABEL_INSTALLATION]}, this one is "
            f"{settings.installation}: let only one of them look after this namespace, or delete the object"
        )
        return Finding("False", Reason.FOREIGN_OWNER, words, Outlook.STALLED)
    if model is not None and labels.get(LABEL_MODEL, model.metadata.name) != model.metadata.name:
        words = f"{what} belongs to the EmbeddingModel {labels[LABEL_MODEL]}: choose another model name"
        return Finding("False", Reason.NAME_CONFLICT, words, Outlook.STALLED)
    return None
