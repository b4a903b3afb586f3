"""Which accelerator profile a pod was made for, read back from the pod: no label says so. Pure."""

from collections.abc import Mapping

from embedplane_operator.accelerator_profiles import AcceleratorProfile
from embedplane_operator.kinds import Manifest


def profile_of_pod(spec: Manifest, profiles: Mapping[str, AcceleratorProfile]) -> str | None:
    """Return the name of the profile by whose labels and resource the pod chooses its node; None is the CPU.

    `spec` is a pod's. Of several that fit the one with most labels counts: it says most about the node.
    """
    fitting = [name for name, profile in profiles.items() if _fits(spec, profile)]
    return min(fitting, key=lambda name: (-len(profiles[name].node_selector), name), default=None)


def _fits(spec: Manifest, profile: AcceleratorProfile) -> bool:
    selector = spec.get("nodeSelector") or {}
    return profile.resource_name in _limits(spec) and profile.node_selector.items() <= selector.items()


def _limits(spec: Manifest) -> frozenset[str]:
    return frozenset(
        name
        for container in spec.get("containers") or ()
        for name in ((container.get("resources") or {}).get("limits") or {})
    )
