"""What an engine needs of a GPU: memory on both sides, streams, copies, and a recording of work to run it again.

`cuda.py` has the real one. Addresses and handles are whole numbers, as the engine libraries take them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Graph = Any
"""Work that was recorded once and runs as one launch; only the device that made it looks inside."""

Bytes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Copy:
    """One and the same memory on both sides: host bytes that cannot be swapped out, and an address on the device."""

    host: Bytes
    address: int


class Device(Protocol):
    """A GPU. Whatever fails raises `EngineError`."""

    def allocate(self, size: int) -> int:
        """Return the address of so many bytes on the device; it is a multiple of 256."""
        ...

    def allocate_pinned(self, size: int) -> Bytes:
        """Return host memory that copies to and from the device need not wait for."""
        ...

    def create_stream(self) -> int:
        """Return the handle of a stream: what is put into it runs in order."""
        ...

    def upload(self, address: int, content: Bytes, stream: int) -> None:
        """Put a copy to the device into a stream."""
        ...

    def download(self, content: Bytes, address: int, stream: int) -> None:
        """Put a copy from the device into a stream; the content is there after `synchronize`."""
        ...

    def synchronize(self, stream: int) -> None:
        """Wait until all that is in a stream has run."""
        ...

    def record(self, work: Callable[[], None], stream: int) -> Graph:
        """Record what work puts into a stream, without running it."""
        ...

    def launch(self, graph: Graph, stream: int) -> None:
        """Put recorded work into a stream."""
        ...

    def discard(self, graph: Graph) -> None:
        """Free what a recording holds."""
        ...

    def close(self) -> None:
        """Free all memory and streams. Nothing is called afterwards."""
        ...
