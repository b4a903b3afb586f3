"""What a model is, for people and for `diff`: its description, everything its id is made of, and what is unsaid."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from embedplane_server.model.description import read_model
from embedplane_server.model.space import sha256_of, vector_space_id
from embedplane_server.settings import Overrides


def explain(
    folder: Path, overrides: Overrides, digests: Mapping[str, str] | None = None, mentions: Sequence[str] = ()
) -> dict[str, Any]:
    """Return what `describe` prints; `digests` as of `model.describe`, `mentions` the prompts of the README.

    `vectorSpace.canonical` is what the id is a hash of, `vectorSpace.digests` has the sha256 of each of its parts.
    """
    reading = read_model(folder, overrides, digests)
    form = reading.form
    space = {
        "id": vector_space_id(form),
        "canonical": form,
        "digests": {key: sha256_of(part) for key, part in form.items()},
    }
    return {
        **reading.describe().as_document(),
        "vectorSpace": space,
        "unsaid": [each.as_document() for each in reading.unsaid(mentions)],
    }
