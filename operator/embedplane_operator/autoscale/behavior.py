"""`behavior` of autoscaling/v2: stabilization windows and rate limits, as the HPA controller applies them.

Pure. `policy.py` says how many replicas are wanted; this says how far one may go now, remembering what was wanted and
what was changed before. The memory is `History`, which each step replaces and never alters.
"""

from dataclasses import dataclass, replace

from embedplane_operator.autoscale.rules import ChangePolicy, DirectionRules, ScalingRules


@dataclass(frozen=True)
class Recommendation:
    """How many replicas were wanted at one time. Not measured: nothing was known, and the replicas stood at that."""

    time: float
    replicas: int
    is_measured: bool


@dataclass(frozen=True)
class Change:
    """Replicas that were added (positive) or taken away."""

    time: float
    replicas: int


@dataclass(frozen=True)
class History:
    """What the windows look back on. Empty after a restart: then the replicas of the first tick count as wanted."""

    recommendations: tuple[Recommendation, ...] = ()
    changes: tuple[Change, ...] = ()
    capacities: tuple[tuple[float, float], ...] = ()
    """When and how much a fully loaded replica was seen to do."""

    def recommended(self, recommendation: Recommendation, rules: ScalingRules) -> "History":
        """Add a recommendation and drop those that no window reaches."""
        window = max(rules.scale_up.stabilization_window_seconds, rules.scale_down.stabilization_window_seconds)
        kept = tuple(r for r in self.recommendations if r.time > recommendation.time - window)
        return replace(self, recommendations=(*kept, recommendation))

    def changed(self, change: Change, rules: ScalingRules) -> "History":
        """Add a change and drop those that no policy's period reaches."""
        periods = [p.period_seconds for p in (*rules.scale_up.policies, *rules.scale_down.policies)]
        kept = tuple(c for c in self.changes if c.time > change.time - max(periods, default=0))
        return replace(self, changes=(*kept, change))

    def measured(self, time: float, capacity: float, window: float) -> "History":
        """Add a measured capacity (0: none) and drop those older than the window."""
        kept = tuple(each for each in self.capacities if each[0] > time - window)
        return replace(self, capacities=(*kept, (time, capacity)) if capacity else kept)


def stabilized(wanted: int, current: int, history: History, rules: ScalingRules, now: float) -> int:
    """Up to the lowest number wanted throughout the up window, down to the highest of the down window, else current.

    What was not measured holds a scale-down back, never a scale-up.
    """
    up_start = now - rules.scale_up.stabilization_window_seconds
    down_start = now - rules.scale_down.stabilization_window_seconds
    past = history.recommendations
    lowest = min([wanted, *(r.replicas for r in past if r.time > up_start and r.is_measured)])
    highest = max([wanted, *(r.replicas for r in past if r.time > down_start)])
    return min(max(current, lowest), highest)


def limited(wanted: int, current: int, history: History, rules: ScalingRules, now: float) -> int:
    """As much of the way to `wanted` as the policies of that direction leave for now."""
    if wanted > current:
        return max(current, min(wanted, _most(current, history, rules.scale_up, now)))
    if wanted < current:
        return min(current, max(wanted, _fewest(current, history, rules.scale_down, now)))
    return current


def _most(current: int, history: History, direction: DirectionRules, now: float) -> int:
    if direction.select_policy == "Disabled":
        return current
    limits = [_raised(_at_start_of(p, current, history, now), p) for p in direction.policies]
    return min(limits) if direction.select_policy == "Min" else max(limits)


def _fewest(current: int, history: History, direction: DirectionRules, now: float) -> int:
    if direction.select_policy == "Disabled":
        return current
    limits = [_lowered(_at_start_of(p, current, history, now), p) for p in direction.policies]
    return max(limits) if direction.select_policy == "Min" else min(limits)


def _at_start_of(policy: ChangePolicy, current: int, history: History, now: float) -> int:
    """Replicas at the start of the policy's period: current without the changes since."""
    return current - sum(c.replicas for c in history.changes if c.time > now - policy.period_seconds)


def _raised(start: int, policy: ChangePolicy) -> int:
    if policy.type == "Pods":
        return start + policy.value
    return -(-start * (100 + policy.value) // 100)


def _lowered(start: int, policy: ChangePolicy) -> int:
    if policy.type == "Pods":
        return start - policy.value
    return start * (100 - policy.value) // 100
