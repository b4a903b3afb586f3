"""How far a re-embedding is: lines for people, metrics for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, start_http_server

from embedplane_server.progress import Progress


class Teller:
    """Counts what is done and says it."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self.registry = CollectorRegistry()
        self._records = self._counter("records", "Records embedded by this run")
        self._tokens = self._counter("tokens", "Tokens embedded by this run")
        self._waits = self._counter("waits", "Times the server was busy or away and was asked again")
        self._held = Gauge("embedplane_reembedding_held_records", "Records in whole parts", registry=self.registry)

    def serve(self, port: int) -> None:
        """Answer `/metrics` on a port until the process ends."""
        start_http_server(port, registry=self.registry)

    def begin(self, space: str, folder: str) -> None:
        """Tell where vectors come from and go to."""
        self._progress.say(f"embedding into {space}; parts are written to {folder}")

    def part(self, number: int, records: int, tokens: int, seconds: float) -> None:
        """Note a part that was made."""
        self._records.inc(records)
        self._tokens.inc(tokens)
        self._progress.say(
            f"part {number}: {records} records, {tokens} tokens, {tokens / max(seconds, 1e-9):.0f} tokens/s"
        )

    def held(self, records: int, *, is_made: bool) -> None:
        """Note how many records the parts hold so far."""
        self._held.set(records)
        if is_made:
            self._progress.say(f"{records} records are there from an earlier run")

    def waited(self, why: str) -> None:
        """Note that the server could not answer just now."""
        self._waits.inc()
        self._progress.say(f"waiting for the server: {why}")

    def _counter(self, name: str, text: str) -> Counter:
        return Counter(f"embedplane_reembedding_{name}", text, registry=self.registry)
