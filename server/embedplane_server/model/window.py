"""How many tokens of a text count: what the model's files say, as sentence-transformers decides it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from embedplane_server.errors import invalid_settings, unsupported_model
from embedplane_server.model.chain import Chain
from embedplane_server.model.places import read_json

LONGEST = 10**9
"""Tokenizers write numbers above this where they know no limit."""

# Models that number positions from pad_token_id + 1: so many fewer tokens fit than config.json says.
_SHIFTED_POSITIONS = frozenset({"roberta", "xlm-roberta", "camembert", "mpnet", "xlm-roberta-xl", "longformer", "esm"})


def window(folder: Path, chain: Chain, asked: int | None) -> int:
    """Return how many tokens count, never more than the model has positions; `asked` is the user's wish."""
    most = positions(chain.transformer.config)
    if asked is not None:
        if most is not None and asked > most:
            raise invalid_settings(
                f"embedding.maxSequenceLength is {asked}, but the model has positions for {most} tokens only. "
                f"Write {most} or less."
            )
        return asked
    written = _written(chain)
    said = _limit(written) if written is not None else tokenizer_window(folder, chain)
    limits = [limit for limit in (said, most) if limit is not None]
    if not limits:
        raise unsupported_model("the model's files do not say how long a text may be. Set embedding.maxSequenceLength.")
    return min(limits)


def said_window(chain: Chain) -> int | None:
    """Return what the Transformer module's own settings say."""
    return _limit(_written(chain))


def tokenizer_window(folder: Path, chain: Chain) -> int | None:
    """Return what the tokenizer says."""
    return _limit(read_json(folder / chain.transformer.path, "tokenizer_config.json").get("model_max_length"))


def _written(chain: Chain) -> Any:  # noqa: ANN401 -- whatever the model's author wrote
    """Return the settings' window as it is written; arguments of the tokenizer come before max_seq_length."""
    arguments = chain.settings.get("processor_kwargs") or chain.settings.get("tokenizer_args") or {}
    return arguments.get("model_max_length", chain.settings.get("max_seq_length"))


def positions(config: Mapping[str, Any]) -> int | None:
    """Return how many tokens the model has positions for; None: any number."""
    written = config.get("max_position_embeddings")
    if not isinstance(written, int) or written <= 0:
        return None
    return written - (int(config.get("pad_token_id") or 0) + 1 if config["model_type"] in _SHIFTED_POSITIONS else 0)


def _limit(written: Any) -> int | None:  # noqa: ANN401 -- whatever the model's author wrote
    return int(written) if isinstance(written, int | float) and 0 < written < LONGEST else None
