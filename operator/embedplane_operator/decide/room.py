"""Builds and new servers that find every accelerator of their pool taken by servers of their own model. Pure.

Servers that take requests stay, and the condition says what can be done: an endpoint is never given up unasked. Those
that cannot become ready make room, as `repair.py` has it for engines that cannot be loaded: noted at their Deployment,
for the autoscaler, until the build is over.
"""

from collections.abc import Iterator
from dataclasses import replace

from embedplane_operator.api.conditions import Reason
from embedplane_operator.api.room import ANNOTATION, has_given_way
from embedplane_operator.decide.decision import Mark
from embedplane_operator.decide.progress import Progress
from embedplane_operator.decide.serving import servers_of
from embedplane_operator.decide.spaces import Live
from embedplane_operator.decide.way import Way
from embedplane_operator.kinds import DEPLOYMENT
from embedplane_operator.render.accelerator import build_profile_of
from embedplane_operator.servers import Servers
from embedplane_operator.status import Finding

WITHOUT_ROOM = frozenset({Reason.UNSCHEDULABLE, Reason.SCALE_UP_REFUSED, Reason.QUOTA_EXCEEDED})


def with_holders(progress: Progress, finding: Finding) -> Finding:
    """What a build without an accelerator says, with the servers of its own model that hold some and stay."""
    if not _lacks_accelerator(progress):
        return finding
    observed, scaling = progress.way.observed, progress.way.model.spec.scaling
    names = [each["metadata"]["name"] for each in observed.deployments]
    servers = {name: servers_of(observed, name) for name in names}
    serving = " ".join(name for name, each in servers.items() if each.ready)
    kept = " ".join(name for name, each in servers.items() if each.wanted)
    if serving:
        words = (
            f"Deployment {serving} of this model holds accelerators, and serves on until the engine is built: for a "
            "pool that cannot grow, set spec.scaling.paused to true, run kubectl scale deployment "
            f"{serving} --replicas=0 (the endpoint is down until then), and set paused to false once EngineReady is "
            "True"
        )
    elif kept and (scaling.paused or scaling.mode == "Disabled"):
        words = (
            f"Deployment {kept} of this model holds accelerators though none of its servers becomes ready, and keeps "
            f"its replicas because spec.scaling says so: run kubectl scale deployment {kept} --replicas=0, and scale "
            "it back once EngineReady is True"
        )
    else:
        return finding
    return replace(finding, message=f"{finding.message}. {words}")


def with_old_servers(way: Way, servers: Servers, finding: Finding) -> Finding:
    """What a rollout says whose new server waits for the accelerator of an old one that answers."""
    if not servers.ready or not _is_full(way, finding.reason, finding.message):
        return finding
    words = (
        f"{finding.message}. Old servers hold accelerators, and serve on until a new one is ready: for a pool that "
        "cannot grow, set spec.serving.rollout to {maxSurge: 0, maxUnavailable: 1}, so that an old one goes first (the "
        "endpoint is down meanwhile if it is the only one)"
    )
    return replace(finding, message=words)


def room_marks(progress: Progress) -> Iterator[Mark]:
    """Notes which Deployments make room from now on, and which do not any more.

    Servers that lack the very engine that is built are noted already, as `api/repair.py` has it.
    """
    for live in progress.spaces.lives:
        key = live.resolved.engine.key
        wanted = key if _makes_room(progress, live, is_known=has_given_way(live.annotations, key)) else None
        if live.annotations.get(ANNOTATION) != wanted:
            yield Mark(DEPLOYMENT.kind, live.name, live.deployment["metadata"]["uid"], {ANNOTATION: wanted})


def _makes_room(progress: Progress, live: Live, *, is_known: bool) -> bool:
    if progress.build is None:
        return is_known and progress.is_early  # a build may run already, from an answer that was lost since
    if progress.way.lack is not None:
        return False
    return is_known or _is_in_the_way(progress, live)


def _is_in_the_way(progress: Progress, live: Live) -> bool:
    servers = servers_of(progress.way.observed, live.name)
    return servers.fails and not servers.ready and _lacks_accelerator(progress)


def _lacks_accelerator(progress: Progress) -> bool:
    run = progress.way.observed.job(progress.build or "")
    trouble = run.trouble_at(progress.way.now) if run else None
    return trouble is not None and _is_full(progress.way, trouble.reason, trouble.message)


def _is_full(way: Way, reason: str, words: str) -> bool:
    """True for a pod that waits because every accelerator of its pool, or quota, is taken, and no node is coming."""
    profile = build_profile_of(way.model, way.settings)
    if profile is None or reason not in WITHOUT_ROOM:
        return False
    return any(f"{word}{profile.resource_name}" in words for word in ("Insufficient ", "requests."))
