"""The module chain for packed rows: several texts in a row, as if each had one for itself. Proven here, or not used.

The transformer gets rows in which texts follow one another, with positions that begin anew and a mask within which each
text sees itself only. Everything after it gets texts one by one as always, so pooling stays the model's own.
"""

from collections.abc import Iterable, Sequence

import torch
from sentence_transformers import SentenceTransformer

from embedplane_server.engines.packing import IDS, OWNERS, PLACES, POSITIONS, packed
from embedplane_server.export.graph import INPUTS, Signature, WholeChain, traced

_FAR = -1e9
"""What is added to the scores of tokens of other texts."""
_NEAR = 1e-4
"""How far a vector may be from the same text's alone, as a share of its length: fp32 adds up in another order."""
_LONGEST_WINDOW = 2048
"""The mask grows with the square of a text: 16 MB for so many tokens."""
_PROOF_TOKENS, _PROOF_TEXTS = 128, 12

_EXAMPLES = {
    IDS: torch.arange(1, 33).reshape(2, 16),
    POSITIONS: torch.arange(16).repeat(2, 1),
    OWNERS: torch.tensor([[0] * 8 + [1] * 8, [2] * 10 + [-1] * 6]),
    PLACES: torch.tensor([[*range(8), -1, -1], [*range(8, 16), -1, -1], [*range(16, 26)]]),
}


class PackedChain(torch.nn.Module):
    """All modules of a model behind packed rows; `first_position` is the position of a text's first token."""

    def __init__(self, modules: Iterable[torch.nn.Module], outputs: tuple[str, ...], first_position: int) -> None:
        super().__init__()
        self.parts = torch.nn.ModuleList(modules)
        self.outputs = outputs
        self.first_position = first_position

    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return one vector a text, and whatever else comes out: `[texts, ...]`."""
        input_ids, position_ids, owners, places = inputs
        apart = owners[:, None, :, None] != owners[:, None, None, :]
        transformer, *after = self.parts
        features = transformer(
            {
                "input_ids": input_ids,
                "position_ids": position_ids + self.first_position,
                "attention_mask": apart.float() * _FAR,
            }
        )
        tokens = features["token_embeddings"].flatten(0, 1)
        features = {
            "token_embeddings": torch.nn.functional.embedding(places.clamp(min=0), tokens),
            "attention_mask": (places >= 0).long(),
        }
        for part in after:
            features = part(features)
        return tuple(features[name] for name in self.outputs)


def signature_of(outputs: tuple[str, ...]) -> Signature:
    """Return the names of a packed graph's tensors."""
    return Signature(tuple(_EXAMPLES), outputs)


def packed_chain(
    model: SentenceTransformer, outputs: tuple[str, ...], token_ids: Sequence[Sequence[int]]
) -> PackedChain | None:
    """Return the model's chain for packed rows, None unless it gives these texts the vectors that they have alone.

    What decides is the comparison and not the architecture: models whose tokens see only those before, or only near
    ones, or whose positions are counted another way, fail it.
    """
    window = model.max_seq_length
    if window is None or window > _LONGEST_WINDOW:
        return None
    by_length = sorted(token_ids, key=len)
    texts = [ids for ids in by_length if len(ids) <= _PROOF_TOKENS][-_PROOF_TEXTS:] + by_length[-1:]
    with torch.inference_mode():
        alone = _alone(model, texts)
        for first_position in _first_positions(model):
            chain = PackedChain(model, outputs, first_position).eval()
            if _is_near(_together(chain, texts), alone):
                return chain
    return None


def trace(chain: PackedChain) -> torch.export.ExportedProgram:
    """Trace the chain for any number of rows and texts of any length."""
    return traced(chain, tuple(_EXAMPLES.values()))


def _first_positions(model: SentenceTransformer) -> list[int]:
    """Return where positions may start: at 0, or, as RoBERTa's, after that of the padding token."""
    padding = getattr(getattr(model[0], "model", None), "config", None)
    padding = getattr(padding, "pad_token_id", None)
    return [0] if padding is None else [0, int(padding) + 1]


def _alone(model: SentenceTransformer, texts: Sequence[Sequence[int]]) -> torch.Tensor:
    chain = WholeChain(model, Signature(INPUTS, ("sentence_embedding",))).eval()
    rows = [torch.tensor([list(ids)]) for ids in texts]
    return torch.cat([chain(row, torch.ones_like(row))[0] for row in rows])


def _together(chain: PackedChain, texts: Sequence[Sequence[int]]) -> torch.Tensor | None:
    """Return the vectors of the texts from one batch of rows; None: the model takes none."""
    inputs = packed(texts)
    try:
        found = chain(*(torch.from_numpy(inputs[name]) for name in _EXAMPLES))
    except Exception:  # models refuse masks and positions by errors of many unrelated kinds
        return None
    vectors: torch.Tensor = found[0][: len(texts)]
    return vectors


def _is_near(found: torch.Tensor | None, expected: torch.Tensor) -> bool:
    if found is None or found.shape != expected.shape:
        return False
    distances = (found - expected).norm(dim=1) / expected.norm(dim=1)
    return bool((distances <= _NEAR).all())
