"""One connection of a client, with a short way for requests whose head came before.

With `http_connection.py` and `http_server.py` the only module that knows uvicorn, to which such a request is one that
is under way: what comes after it waits, and a shutdown lets it finish.
"""

import asyncio
from collections.abc import Iterable
from typing import ClassVar, Self, cast

from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from embedplane_server.http_connection import AgingConnection, written
from embedplane_server.http_heads import Framed, KnownHeads, framed
from embedplane_server.routes.connection import CLOSE, Header
from embedplane_server.routes.express import Express


def express_connections(express: Express) -> type[AgingConnection]:
    """Return the kind of connection that leads to a short way; all of them know the same heads."""
    return type("Connected", (ExpressConnection,), {"express": express, "heads": KnownHeads()})


class ExpressConnection(AgingConnection):
    """A connection that looks at what arrives between two requests before it is parsed."""

    express: ClassVar[Express]
    heads: ClassVar[KnownHeads]

    def connection_made(self, transport: object) -> None:
        """Start between requests."""
        super().connection_made(transport)
        self._short = ShortCycle()
        self._is_between = True
        self._begun = 0

    def data_received(self, data: bytes) -> None:
        """Serve a request that may go the short way; have all else parsed, and remember its head."""
        request = framed(data) if self._is_between else None
        if request is not None and self._goes_short(request):
            return
        self._begun = 0
        super().data_received(data)
        if request is not None and self._is_between and self._begun == 1 and request not in self.heads:
            self._learn(request)

    def on_message_begin(self) -> None:
        """Note that what comes now belongs to a request."""
        super().on_message_begin()
        self._is_between = False
        self._begun += 1

    def on_message_complete(self) -> None:
        """Note that what comes now does not."""
        super().on_message_complete()
        self._is_between = True

    def _goes_short(self, request: Framed) -> bool:
        head = self.heads.find(request)
        if head is None or not self._is_answered() or self.flow.write_paused or self.transport.is_closing():
            return False
        exchange = self.express.exchange(head, request.body, self._connection, self._reply)
        if exchange is None:
            return False
        self._unset_keepalive_if_required()
        self.cycle = cast("RequestResponseCycle", self._short.begun())
        exchange.begin()
        return True

    def _learn(self, request: Framed) -> None:
        """Remember the head of a request that was parsed and of which nothing was answered yet."""
        if self.cycle.keep_alive and (head := self.express.head_of(cast("Scope", self.scope))) is not None:
            self.heads.learn(request, head)

    def _reply(self, status: int, headers: Iterable[Header], body: bytes) -> None:
        self._short.response_complete = True
        if self.transport.is_closing():
            return
        full = [*self.server_state.default_headers, *headers]
        if not self._short.keep_alive and CLOSE not in full:
            full.append(CLOSE)
        self.transport.write(written(status, full, body))
        if CLOSE in full:
            self.transport.close()
        self.on_response_complete()


class ShortCycle:
    """What uvicorn asks of a request that is under way."""

    def __init__(self) -> None:
        self.disconnected = False
        self.message_event = asyncio.Event()
        self.begun()

    def begun(self) -> Self:
        """Start anew with the connection's next request."""
        self.keep_alive = True
        self.response_complete = False
        return self
