"""A model whose Pooling sentence-transformers cannot load, because its file is missing or names an unknown mode.

A user who sets `embedding.pooling` says what the file should; everything else stays the model's own.
"""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from embedplane_server.errors import PermanentError
from embedplane_server.model.chain import read_chain, refuse_unknown_pooling


@contextmanager
def loadable(folder: Path, pooling: str) -> Iterator[Path]:
    """Give the folder, or links to its files around a Pooling of the given mode where its own cannot be loaded."""
    chain = read_chain(folder)
    try:
        refuse_unknown_pooling(chain)
    except PermanentError:
        assert chain.pooling is not None
        with tempfile.TemporaryDirectory(prefix="embedplane-model-") as name:
            copy = Path(name)
            _link(folder, copy)
            place = copy / chain.pooling.path / "config.json"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.unlink(missing_ok=True)
            width = chain.width
            include = chain.pooling.config.get("include_prompt", True)
            config = {"embedding_dimension": width, "pooling_mode": pooling, "include_prompt": include}
            place.write_text(json.dumps(config), encoding="utf-8")
            yield copy
    else:
        yield folder


def _link(folder: Path, copy: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            place = copy / path.relative_to(folder)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(path.resolve())
