"""What serves: the manifests of the servers, and what is found about those that run. Pure."""

from collections.abc import Collection
from dataclasses import replace

from embedplane_operator.api.conditions import Reason
from embedplane_operator.api.v1alpha1 import EmbeddingModel
from embedplane_operator.decide.decision import Doomed
from embedplane_operator.decide.spaces import Plan
from embedplane_operator.kinds import Manifest
from embedplane_operator.no_room import NoRoom, without_node_since
from embedplane_operator.observation import Observation
from embedplane_operator.render.disruption_budget import render_disruption_budget
from embedplane_operator.render.names import LABEL_PROFILE, LABEL_VECTOR_SPACE, candidate_name, served_space
from embedplane_operator.render.service import render_service
from embedplane_operator.servers import Servers, read_servers
from embedplane_operator.settings import Settings
from embedplane_operator.status import Finding, Outlook, met, unmet


def endpoint_manifests(model: EmbeddingModel, settings: Settings, space: str) -> tuple[Manifest, ...]:
    """The main Service, and its budget; they need no engine, so they are kept whatever becomes of the spec."""
    budget = render_disruption_budget(model, settings, space)
    return (render_service(model, settings, space), *([budget] if budget else []))


def candidate_manifests(model: EmbeddingModel, settings: Settings, plan: Plan) -> tuple[Manifest, ...]:
    """The Service of the space that the spec leads to, beside the main one, and its budget.

    The Service stays after the cut-over until the old space is gone, so that who embeds by it is not cut off. The
    budget does not: a pod with two budgets cannot be evicted.
    """
    if plan.wanted is None:
        return ()
    service = render_service(model, settings, plan.wanted, candidate_name(model))
    if plan.wanted == plan.active:
        return (service,)
    budget = render_disruption_budget(model, settings, plan.wanted, candidate_name(model))
    return (service, *([budget] if budget else []))


def missing_api_keys(observed: Observation) -> Finding | None:
    """Why no server of this spec is started yet: its pod would wait for a Secret that does not exist."""
    reference, namespace = observed.model.spec.serving.api_keys_secret_ref, observed.model.metadata.namespace
    if reference is None or observed.api_keys_version is not None:
        return None
    words = (
        f"Secret {reference.name} does not exist in namespace {namespace}: create it with API keys as its values, one "
        "a line, or remove spec.serving.apiKeysSecretRef; servers that run go on as they are"
    )
    return Finding("False", Reason.SECRET_NOT_FOUND, words, Outlook.STALLED)


def servers_of(observed: Observation, name: str | None) -> Servers:
    """The state of the Deployment of this name; nothing runs when there is none."""
    for deployment in observed.deployments:
        if deployment["metadata"]["name"] == name:
            pods = _pods_of(deployment, observed)
            return read_servers(deployment, replace(observed.servers, pods=pods))
    return Servers()


def no_room_for_servers(observed: Observation, name: str | None, message: str) -> NoRoom | None:
    """Since when no server of a Deployment gets a node of the profile in use; those of an earlier one do not count."""
    profile = observed.model.status.accelerator
    if profile is None or observed.servers.claims:
        return None
    deployments = (each for each in observed.deployments if each["metadata"]["name"] == name)
    pods = [pod for deployment in deployments for pod in _pods_of(deployment, observed)]
    since = without_node_since([pod for pod in pods if _label(pod, LABEL_PROFILE) == profile.profile])
    return NoRoom(since, message) if since else None


def _pods_of(deployment: Manifest, observed: Observation) -> list[Manifest]:
    space = _label(deployment, LABEL_VECTOR_SPACE)
    return [pod for pod in observed.servers.pods if _label(pod, LABEL_VECTOR_SPACE) == space]


def _label(manifest: Manifest, name: str) -> str | None:
    return (manifest["metadata"].get("labels") or {}).get(name)


def availability(servers: Servers) -> Finding:
    """Whether the endpoint answers, be it with an older spec."""
    if servers.ready:
        return met(Reason.REPLICAS_READY, f"{servers.ready} of {servers.replicas} replicas take requests")
    if servers.trouble:
        return unmet(servers.trouble)
    if servers.repair.lack and not servers.replicas:
        words = f"no server runs until the engine is built: {servers.repair.lack.message}"
        return Finding("False", servers.repair.lack.reason, words)
    if servers.replicas:
        return Finding("False", Reason.ROLLOUT_RUNNING, "servers are starting and load the engine")
    if servers.exists and not servers.wanted:
        return Finding("False", Reason.PENDING, "no server runs: the Deployment is scaled to 0 replicas")
    return Finding("False", Reason.PENDING, "no server runs yet")


def rollout(servers: Servers, minimum: int) -> Finding:
    """Whether the newest template is what is served."""
    if servers.is_rolled_out(minimum):
        return met(Reason.SERVING, "the newest spec is served")
    if servers.trouble:
        return unmet(servers.trouble)
    words = f"{servers.updated} of {servers.wanted} replicas are of the newest spec, {servers.ready} take requests"
    return Finding("False", Reason.ROLLOUT_RUNNING, words)


def leftovers(observed: Observation, wanted: tuple[Manifest, ...], staying: Collection[str]) -> tuple[Doomed, ...]:
    """What is not wanted any more: first what stands before servers, so that no Service is left without any.

    `staying` names the spaces whose Deployments stay though they are not among `wanted`.
    """
    names = {(manifest["kind"], manifest["metadata"]["name"]) for manifest in wanted}
    fronts = (observed.candidate_service, observed.candidate_budget, observed.disruption_budget)
    servers = (each for each in observed.deployments if served_space(each) not in staying)
    return tuple(
        Doomed(each["kind"], each["metadata"]["name"], each["metadata"]["uid"])
        for each in (*fronts, *servers)
        if each and _is_child(each, observed) and (each["kind"], each["metadata"]["name"]) not in names
    )


def _is_child(manifest: Manifest, observed: Observation) -> bool:
    owners = manifest["metadata"].get("ownerReferences") or ()
    is_owned = any(owner.get("uid") == observed.model.metadata.uid for owner in owners)
    return is_owned and "deletionTimestamp" not in manifest["metadata"]
