"""Why two vector spaces are not the same: which parts of a model differ, in the user's words. Pure.

The server package says a short digest of each part (`model/space.py`); a space that was found before it did so is
compared by what its status says.
"""

from embedplane_operator.api.status import VectorSpaceStatus

NAMES = {
    "weights": "the weights",
    "config": "config.json",
    "modules": "the chain of modules",
    "tokenizer": "the tokenizer",
    "prompts": "the prompts",
    "window": "the window",
}
"""What the parts of a space are called; a part of a later version is called by its own name."""


def what_differs(old: VectorSpaceStatus | None, new: VectorSpaceStatus) -> str:
    """One sentence without its full stop."""
    if old is None:
        return "What the served space was made of is not known any more"
    parts, facts = _parts(old, new), _facts(old, new)
    if "pooling" in facts or "normalize" in facts:
        parts.pop("modules", None)  # a fact says it better
    found = {**parts, **facts}
    return f"They differ in {_listed(list(found.values()))}" if found else "They differ in their files"


def _parts(old: VectorSpaceStatus, new: VectorSpaceStatus) -> dict[str, str]:
    """Parts whose digests differ; nothing where one of the two has no digests."""
    if not old.parts or not new.parts:
        return {}
    names = sorted({*old.parts, *new.parts}, key=lambda name: (list(NAMES).index(name) if name in NAMES else 99, name))
    return {name: NAMES.get(name, name) for name in names if old.parts.get(name) != new.parts.get(name)}


def _facts(old: VectorSpaceStatus, new: VectorSpaceStatus) -> dict[str, str]:
    """What the status of both says, with its values; it says more than that a part differs."""
    facts = {
        "pooling": ("the pooling", old.pooling, new.pooling),
        "normalize": ("normalisation", old.normalized, new.normalized),
        "window": ("the window", f"{old.max_sequence_length} tokens", f"{new.max_sequence_length} tokens"),
        "dimensions": ("the dimensions", old.dimensions, new.dimensions),
        "similarity": ("the similarity", old.similarity, new.similarity),
        "task": ("the task", old.task, new.task),
    }
    found = {
        part: f"{name} ({before} before, {after} now)"
        for part, (name, before, after) in facts.items()
        if before != after and None not in (before, after)
    }
    if old.prompts != new.prompts:
        found["prompts"] = NAMES["prompts"]
    return found


def _listed(words: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
