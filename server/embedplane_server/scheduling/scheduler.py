"""Runs the engine in threads of its own on what waits; requests await their vectors on the event loop.

The event loop admits and abandons, the engine's threads take and answer; what they share changes under one lock. There
are as many threads as the engine runs batches side by side; one at a time waits and takes, the others queue behind it.
None waits for the event loop and there is no timer: an idle engine starts on whatever arrives.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from embedplane_server.engines.base import Batch, Engine, Vectors
from embedplane_server.errors import EngineError
from embedplane_server.scheduling.admission import Limits, Queued, Running, Throughput, admit
from embedplane_server.scheduling.answers import embedded, settle
from embedplane_server.scheduling.begun import Begun, begin, with_probe
from embedplane_server.scheduling.errors import EngineDrifted, EngineFailed, Overloaded, ShuttingDown
from embedplane_server.scheduling.health import EngineHealth
from embedplane_server.scheduling.observer import BatchReport, Observer, Outcome
from embedplane_server.scheduling.probes import Probe, Probed
from embedplane_server.scheduling.waiting import Waiting
from embedplane_server.scheduling.work import Embedded, Lane, Unit, Work

logger = logging.getLogger(__name__)


class Scheduler:
    """The queue and the engine's threads."""

    def __init__(
        self,
        engine: Engine,
        limits: Limits,
        observer: Observer,
        expected_tokens_per_second: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limits = limits
        self._engine = engine
        self._observer = observer
        self._clock = clock
        self._throughput = Throughput(expected_tokens_per_second)
        self._health = EngineHealth(limits.max_batch_seconds)
        self._arrived = threading.Condition()
        self._inbox: list[Work] = []
        self._queued = {lane: Queued() for lane in Lane}
        self._closing = False
        self._has_drifted = False
        self._probe: Probe | None = None
        self._running = Running()
        self._taking = threading.Lock()
        self._waiting = Waiting(limits.max_batch_tokens, engine.row_tokens)  # touched with `_taking` held
        self._threads = [
            threading.Thread(target=self._run, args=(number,), name=f"engine-{number}", daemon=True)
            for number in range(engine.parallel)
        ]

    def start(self) -> None:
        """Start the engine's threads."""
        for thread in self._threads:
            thread.start()

    def close(self, timeout: float = 30) -> None:
        """Let the engine's threads finish what is queued, then end them."""
        with self._arrived:
            self._closing = True
            self._arrived.notify()
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(deadline - time.monotonic(), 0))

    def queued(self, lane: Lane) -> Queued:
        """Return what waits in a lane now; inputs in the running batches do not wait."""
        with self._arrived:
            return replace(self._queued[lane])

    def problem(self) -> str | None:
        """Return what is wrong with the engine, or None while it is healthy."""
        if not all(thread.is_alive() for thread in self._threads):
            return "an engine thread has ended"
        return self._health.problem(self._clock())

    @property
    def has_token_vectors(self) -> bool:
        """Whether `every_token` may be asked for."""
        return self._engine.token_dimensions is not None

    def admit(self, token_ids: Sequence[Sequence[int]], *, every_token: bool = False) -> Work:
        """Queue a request or refuse it; its future gets the vectors, on the running event loop. See `abandon`."""
        tokens = sum(map(len, token_ids))
        lane = self.limits.lane(token_ids, tokens)
        future: asyncio.Future[Embedded] = asyncio.get_running_loop().create_future()
        work = Work(token_ids, lane, self._clock(), future, every_token=every_token)
        with self._arrived:
            if self._closing:
                raise ShuttingDown
            if self._has_drifted:
                raise EngineDrifted
            try:
                admit(tokens, lane, self._queued, self.limits, self._throughput.tokens_per_second)
            except Overloaded:
                self._observer.overloaded(tokens)
                raise
            self._queued[lane].tokens += tokens
            self._queued[lane].inputs += len(token_ids)
            self._inbox.append(work)
            self._observer.admitted(tokens)
            self._arrived.notify()
        return work

    def abandon(self, work: Work) -> None:
        """Free whatever of a request has not started: nobody waits for it any more."""
        self._end([work], Outcome.CANCELLED)

    async def probe(self, token_ids: Sequence[int], *, alone: bool, patience_seconds: float) -> Probed:
        """Return the vector of a text that no request asked for, once that holds no request up; one at a time.

        After so many seconds without an idle moment it is computed as one more row of a request's batch.
        """
        future: asyncio.Future[Probed] = asyncio.get_running_loop().create_future()
        probe = Probe(token_ids, alone, self._clock() + patience_seconds, future)
        with self._arrived:
            if self._closing:
                raise ShuttingDown
            self._probe = probe
            self._arrived.notify()
        try:
            return await future
        finally:
            with self._arrived:
                if self._probe is probe:
                    self._probe = None

    def stop_answering(self) -> None:
        """Fail what waits, what runs and what comes: the engine's vectors are not to be trusted any more."""
        self._has_drifted = True

    def _end(self, works: Iterable[Work], outcome: Outcome) -> None:
        """Drop what still waits of these requests; a second call changes nothing."""
        with self._arrived:
            for work in works:
                if not work.ended:
                    work.end()
                    self._leave(work, work.waiting_tokens, work.waiting_inputs, outcome)

    def _leave(self, work: Work, tokens: int, inputs: int, outcome: Outcome | None = None) -> None:
        """Take inputs out of the counts of what waits; with the lock held."""
        work.waiting_tokens -= tokens
        work.waiting_inputs -= inputs
        self._queued[work.lane].tokens -= tokens
        self._queued[work.lane].inputs -= inputs
        if outcome is not None and inputs:
            self._observer.dropped(tokens, inputs, outcome)

    def _run(self, thread: int) -> None:
        self._engine.enter_thread()
        while (begun := self._begin()) is not None:
            self._embed_or_fail(thread, begun)

    def _embed_or_fail(self, thread: int, begun: list[Begun]) -> None:
        """Embed; a fault of our own ends this thread, and so the server, but leaves no request waiting for it."""
        try:
            for each in begun:
                self._embed(thread, each)
        except BaseException:
            for each in begun:
                self._fail(each)
            raise

    def _begin(self) -> list[Begun] | None:
        """Wait for work and take a batch of it, or one of each form; None when it is time to end."""
        with self._taking:
            return self._start(self._waiting.take(self._share())) if self._collect() else None

    def _collect(self) -> bool:
        """Move arrivals to what waits, sleeping while there is nothing; False when it is time to end."""
        with self._arrived:
            while not self._inbox and not self._any_queued():
                if self._closing:
                    return False
                if self._probe is not None and not self._running.batches:
                    return True
                self._waiting.clear()
                self._arrived.wait()
            arrivals, self._inbox = self._inbox, []
            alive = sum(queued.inputs for queued in self._queued.values())
        for work in arrivals:
            self._waiting.add(work, self._throughput.tokens_per_second)
        self._waiting.sweep(alive)
        return True

    def _any_queued(self) -> bool:
        return any(queued.inputs for queued in self._queued.values())

    def _share(self) -> int | None:
        with self._arrived:
            return self._running.share(sum(each.tokens for each in self._queued.values()), len(self._threads))

    def _start(self, taken: list[Unit]) -> list[Begun]:
        """Take the inputs of a batch out of the queue; those of requests that ended meanwhile fall away."""
        now = self._clock()
        with self._arrived:
            units = [unit for unit in taken if not unit.work.ended]
            for unit in units:
                self._leave(unit.work, len(unit.token_ids), 1)
                if unit.work.started is None:
                    unit.work.started = now
            is_idle = not self._running.batches and not self._any_queued()
            begun = begin(units, alone=is_idle)
            if self._probe is not None and (probing := with_probe(begun, self._probe, now, is_idle=is_idle)):
                begun, self._probe = probing, None
            for each in begun:
                self._running.begin(now, each.tokens)
        return begun

    def _embed(self, thread: int, begun: Begun) -> None:
        batch = begun.batch
        if self._has_drifted:
            self._refuse(begun)
            return
        self._health.batch_started(thread, self._clock())
        try:
            vectors = self._checked(batch)
        except Exception:
            logger.exception("a batch of %d inputs and %d tokens failed", len(batch.token_ids), batch.tokens)
            self._refuse(begun)
            self._health.batch_failed(thread, probe_works=self._probe_works())
            return
        self._health.batch_succeeded(thread, min(batch.token_ids, key=len))
        if self._has_drifted:
            self._refuse(begun)
            return
        self._report(begun, Outcome.SUCCESS)
        if begun.probe is not None:
            probed = Probed(vectors[-1], rode_along=bool(begun.units))
            settle([begun.probe], lambda probe: probe.future.set_result(probed))
        self._answer(begun, vectors)

    def _refuse(self, begun: Begun) -> None:
        self._report(begun, Outcome.FAILED)
        self._fail(begun)

    def _checked(self, batch: Batch) -> Vectors:
        vectors = self._engine.embed(batch)
        expected: tuple[int, int | None] = (len(batch.token_ids), self._engine.dimensions)
        if batch.every_token:
            expected = (batch.tokens, self._engine.token_dimensions)
        if vectors.shape != expected:
            raise EngineError(f"the engine returned vectors of shape {vectors.shape} instead of {expected}")
        if not np.isfinite(vectors).all():
            raise EngineError("the engine returned numbers that are not finite")
        return vectors

    def _probe_works(self) -> bool:
        """Tell whether an input that worked before still does: then it was the batch, not the engine."""
        known_good = self._health.known_good
        if known_good is None:
            return False
        try:
            self._checked(Batch([known_good]))
        except Exception:
            logger.exception("the engine also fails on an input that worked before")
            return False
        return True

    def _report(self, begun: Begun, outcome: Outcome) -> None:
        tokens, inputs = begun.tokens, len(begun.units)
        with self._arrived:
            seconds = self._running.end(self._clock(), tokens)
            if outcome is Outcome.SUCCESS and inputs:
                self._throughput.add(tokens, seconds)
            if self._probe is not None:
                self._arrived.notify()  # a thread that waits may find the engine idle now
        if inputs:  # what nobody asked for is not counted
            padding = begun.padding(self._engine.row_tokens)
            self._observer.batch(BatchReport(tokens, padding, inputs, seconds, outcome))

    def _answer(self, begun: Begun, vectors: Vectors) -> None:
        with self._arrived:  # another thread may have inputs of the same request
            for unit, own in zip(begun.units, begun.rows(vectors), strict=True):
                unit.work.keep(unit.index, own)
            finished = [work for work in begun.works if work.unfinished == 0]
        self._end(finished, Outcome.SUCCESS)
        now = self._clock()
        settle(finished, lambda work: work.future.set_result(embedded(work, now)))

    def _fail(self, begun: Begun) -> None:
        works, error = begun.works, EngineDrifted if self._has_drifted else EngineFailed
        self._end(works, Outcome.FAILED)
        settle(works, lambda work: work.future.set_exception(error()))
        if begun.probe is not None:
            settle([begun.probe], lambda probe: probe.future.set_exception(error()))
