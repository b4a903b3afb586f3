"""How many replicas a model should have: pure arithmetic over one observation, the rules and the history.

It neither asks Prometheus nor writes anything (`loop.py` does); the speed of changes is `behavior.py`'s. Whatever is
not known holds the replicas where they are.
"""

import math
from dataclasses import dataclass, replace

from embedplane_operator.autoscale.behavior import History, Recommendation, limited, stabilized
from embedplane_operator.autoscale.observation import Missing, Observation
from embedplane_operator.autoscale.rules import ScalingRules

LOADED_BUSY, LOADED_QUEUE_SECONDS = 0.3, 0.25
"""A replica shows its capacity only under load: this busy, and with this many seconds of work waiting. Otherwise its
batches are small, and tokens per busy second say how little came, not how much could."""
CAPACITY_WINDOW = 600.0
"""Seconds for which a measured capacity counts; the best of them does, since whatever disturbs one lowers it."""
CAPACITY_BOUNDS = (0.25, 1.5)
"""What a measured capacity may be, as multiples of the benchmark."""
HIGHEST_BUSY = 0.8
"""No scale-down leaves the remaining replicas busier than this."""


@dataclass(frozen=True)
class Standing:
    """Where a Deployment stands now, and what its engine promised."""

    replicas: int
    ready_replicas: int
    benchmark: float | None
    gives_way: bool = False
    """Servers that cannot become ready make room for the build of their engine."""
    retires: bool = False
    """Its vector space is not the active one any more: it goes to 0 when no request comes, and never grows."""


@dataclass(frozen=True)
class Decision:
    """How many replicas to have and why; the numbers are None where nothing was measured."""

    replicas: int
    reason: str
    message: str
    is_active: bool
    history: History
    """What the next decision looks back on; a change is added by the caller, once it is written."""
    observation: Observation | None = None
    capacity: float | None = None


def decide(
    rules: ScalingRules, standing: Standing, observed: Observation | Missing, history: History, now: float
) -> Decision:
    """Decide about one Deployment; what a paused model's decision says is not to be written."""
    decision = _decide(rules, standing, observed, history, now)
    if not rules.is_paused or rules.is_disabled:
        return decision
    message = f"spec.scaling.paused or spec.suspend is set, replicas stay at {standing.replicas}. {decision.message}"
    return replace(decision, reason="ScalingPaused", message=message, is_active=False)


def _decide(
    rules: ScalingRules, standing: Standing, observed: Observation | Missing, history: History, now: float
) -> Decision:
    hold = Recommendation(now, standing.replicas, is_measured=False)
    if not history.recommendations:
        history = history.recommended(hold, rules)
    held = history.recommended(hold, rules)
    if rules.is_disabled:
        message = (
            "spec.scaling.mode is Disabled: replicas are set once, when the Deployment is made, and then left alone."
        )
        return Decision(standing.replicas, "ScalingDisabled", message, False, held)
    if standing.gives_way and not standing.ready_replicas:
        message = "No server becomes ready: they make room until an engine is built, then minReplicas start."
        return Decision(0, "MakingRoom", message, False, held)
    if standing.retires:
        return _retire(rules, standing, _if_complete(observed, standing), history, now)
    if not rules.min_replicas <= standing.replicas <= rules.max_replicas:
        return _into_bounds(rules, standing, held)
    observed = _if_complete(observed, standing)
    if isinstance(observed, Observation):
        history = history.measured(now, _measured(observed, standing), CAPACITY_WINDOW)
        held = history.recommended(hold, rules)
    capacity = replica_capacity(history, standing)
    if rules.min_replicas == rules.max_replicas:
        known = observed if isinstance(observed, Observation) else None
        message = f"minReplicas and maxReplicas are both {rules.max_replicas}: there is nothing to decide."
        return Decision(standing.replicas, "FixedReplicas", message, True, held, known, capacity)
    if isinstance(observed, Missing):
        message = f"{observed.message} Replicas stay at {standing.replicas}."
        return Decision(standing.replicas, observed.reason, message, False, held)
    if capacity is None:
        message = (
            "The engine has no benchmark and was not under full load yet, so the capacity of a replica is unknown. "
            f"Replicas stay at {standing.replicas}."
        )
        return Decision(standing.replicas, "CapacityUnknown", message, False, held, observed)
    return _follow(_Load(rules, standing, observed, capacity), history, now)


def _retire(
    rules: ScalingRules, standing: Standing, observed: Observation | Missing, history: History, now: float
) -> Decision:
    """To 0 once nothing was asked for as long as a scale-down is held back; nothing measured is not nothing."""
    current = standing.replicas
    hold = Recommendation(now, current, is_measured=False)
    if not current:
        return Decision(0, "Retired", "The vector space retires, and no server runs.", False, history)
    if isinstance(observed, Missing):
        message = f"The vector space retires. {observed.message} Replicas stay at {current}."
        return Decision(current, observed.reason, message, False, history.recommended(hold, rules))
    wanted = 0 if observed.is_idle else current
    replicas = stabilized(wanted, current, history, rules, now)
    words = "no request reached it" if observed.is_idle else "requests still reach it"
    message = f"The vector space retires, and {words} -> {_replicas(replicas)}"
    history = history.recommended(Recommendation(now, wanted, is_measured=True), rules)
    return Decision(replicas, "Retiring", message, True, history, observed)


def demanded(observation: Observation, rules: ScalingRules) -> float:
    """Tokens per second to provide for.

    What was rejected and what waits each count at most as much as what was admitted: both are estimates of a lack, and
    new replicas take new requests only. Without these bounds one backlog, which no replica can take over, drives every
    model to maxReplicas while the first new pods still start (tests/unit/.../test_autoscale_simulation.py).
    """
    waiting = (
        observation.interactive_queue / rules.target_queue_seconds
        + observation.bulk_queue / rules.target_bulk_queue_seconds
    )
    admitted = observation.admitted
    return admitted + min(observation.rejected, admitted) + min(waiting, admitted)


def replica_capacity(history: History, standing: Standing) -> float | None:
    """Tokens per second of one replica: measured under load, within bounds of the benchmark; else the benchmark."""
    measured = max((capacity for _, capacity in history.capacities), default=0.0)
    if not standing.benchmark:
        return measured or None
    if not measured:
        return standing.benchmark
    lowest, highest = (bound * standing.benchmark for bound in CAPACITY_BOUNDS)
    return min(max(measured, lowest), highest)


def _measured(observation: Observation, standing: Standing) -> float:
    """Tokens per second that a replica was seen to do under full load, or in spite of a small one; 0 if neither."""
    measured, ready = observation.tokens_per_busy_second, standing.ready_replicas
    benchmark = standing.benchmark or measured
    if not measured or observation.busy_replicas < LOADED_BUSY * ready:
        return 0.0
    is_loaded = observation.queued >= LOADED_QUEUE_SECONDS * benchmark * ready
    return measured if is_loaded or measured > benchmark else 0.0


@dataclass(frozen=True)
class _Load:
    """One complete set of numbers."""

    rules: ScalingRules
    standing: Standing
    observation: Observation
    capacity: float

    @property
    def demand(self) -> float:
        return demanded(self.observation, self.rules)

    @property
    def needed(self) -> float:
        """Replicas, as a fraction."""
        return self.demand / (self.capacity * self.rules.utilization)

    def described(self) -> str:
        return (
            f"{self.demand:,.0f} tokens/s wanted, {self.capacity:,.0f} per replica "
            f"at {self.rules.utilization * 100:.0f} % -> {_replicas(_ceil(self.needed))}"
        )


def _into_bounds(rules: ScalingRules, standing: Standing, history: History) -> Decision:
    if standing.replicas < rules.min_replicas:
        message = f"{_replicas(standing.replicas)}, fewer than minReplicas -> {_replicas(rules.min_replicas)}"
        return Decision(rules.min_replicas, "BelowMinimum", message, True, history)
    message = f"{_replicas(standing.replicas)}, more than maxReplicas -> {_replicas(rules.max_replicas)}"
    return Decision(rules.max_replicas, "AboveMaximum", message, True, history)


def _if_complete(observed: Observation | Missing, standing: Standing) -> Observation | Missing:
    if standing.ready_replicas == 0:
        return Missing("NoReadyReplicas", "No replica is ready, so there is no load to measure.")
    if isinstance(observed, Observation) and observed.series < standing.ready_replicas:
        message = (
            f"Prometheus has metrics of {observed.series} of {standing.ready_replicas} ready pods. If this lasts, "
            "check that Prometheus scrapes every server pod (PodMonitor or scrape annotations, NetworkPolicy)."
        )
        return Missing("MetricsMissing", message)
    return observed


def _follow(load: _Load, history: History, now: float) -> Decision:
    """Recommend, then go there as far as the rules allow."""
    rules, current = load.rules, load.standing.replicas
    wanted, reason, note = _recommend(load)
    replicas = wanted
    steady = stabilized(wanted, current, history, rules, now)
    if steady != wanted:
        direction = rules.scale_up if wanted > current else rules.scale_down
        reason = "ScaleUpStabilized" if wanted > current else "ScaleDownStabilized"
        note = f"waiting until that has held for {direction.stabilization_window_seconds:g} s"
        replicas = steady
    allowed = limited(steady, current, history, rules, now)
    if allowed != steady:
        reason = "ScaleUpLimited" if steady > current else "ScaleDownLimited"
        note = f"spec.scaling.behavior allows {_replicas(allowed)} now"
        replicas = allowed
    message = load.described() + (f"; {note}" if note else "") + (f"; staying at {current}" * (replicas == current))
    history = history.recommended(Recommendation(now, wanted, is_measured=True), rules)
    return Decision(replicas, reason, message, True, history, load.observation, load.capacity)


def _recommend(load: _Load) -> tuple[int, str, str]:
    """Return the replicas that the load asks for, with the reason and a note if it is not simply the quotient."""
    rules, current = load.rules, load.standing.replicas
    wanted, ratio = _ceil(load.needed), load.needed / current
    if 1 - rules.scale_down.tolerance <= ratio <= 1 + rules.scale_up.tolerance:
        return current, "AsDemanded", "" if wanted == current else "within the tolerance"
    if wanted > rules.max_replicas:
        return rules.max_replicas, "AtMaximum", f"maxReplicas is {rules.max_replicas}"
    floor = _fewest_by_busy(load)
    if max(wanted, rules.min_replicas) < floor:
        return floor, "RemainingTooBusy", f"fewer than {floor} would be more than {HIGHEST_BUSY * 100:.0f} % busy"
    if wanted < rules.min_replicas:
        return rules.min_replicas, "AtMinimum", f"minReplicas is {rules.min_replicas}"
    return wanted, "AsDemanded", ""


def _fewest_by_busy(load: _Load) -> int:
    """The fewest replicas that would not be too busy; all while those that are ready are, for then others start."""
    busy = _ceil(load.observation.busy_replicas / HIGHEST_BUSY)
    return load.standing.replicas if busy > load.standing.ready_replicas else min(load.standing.replicas, busy)


def _ceil(number: float) -> int:
    return math.ceil(round(number, 6))


def _replicas(count: int) -> str:
    return f"{count} replica" if count == 1 else f"{count} replicas"
