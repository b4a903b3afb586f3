"""`Arrays` of torch, on a GPU: for images that have torch because their engine library needs it."""

from collections.abc import Sequence
from typing import Any

import torch
from numpy.typing import NDArray


class TorchArrays:
    """Arrays on one device; sums are taken in a fixed order, so that a text has the same vector each time."""

    def __init__(self, device: str) -> None:
        self.device = torch.device(device)

    def put(self, array: NDArray[Any]) -> torch.Tensor:
        return torch.from_numpy(array).to(self.device, non_blocking=True)

    def sums(self, states: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        return torch.segment_reduce(states, "sum", lengths=lengths, axis=0)

    def maxima(self, states: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        return torch.segment_reduce(states, "max", lengths=lengths, axis=0)

    def joined(self, parts: Sequence[torch.Tensor]) -> torch.Tensor:
        return torch.cat(list(parts), dim=1)

    def tanh(self, values: torch.Tensor) -> torch.Tensor:
        return torch.tanh(values)

    def norms(self, vectors: torch.Tensor, smallest: float) -> torch.Tensor:
        lengths: torch.Tensor = torch.linalg.vector_norm(vectors, dim=1, keepdim=True)
        return lengths.clamp_min(smallest)
