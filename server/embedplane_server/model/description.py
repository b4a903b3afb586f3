"""What a sentence-transformers folder says about its vectors or scores, together with what the user overrides.

Reads JSON only: no weights are loaded (they are hashed), no code of the model is run.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic.alias_generators import to_camel

from embedplane_server.errors import invalid_settings, unsupported_model
from embedplane_server.model.chain import Chain, Task, read_chain, with_overrides
from embedplane_server.model.classifier import Activation, Classifier, read_classifier
from embedplane_server.model.files import weight_files
from embedplane_server.model.places import read_json
from embedplane_server.model.space import Behaviour, vector_space_id
from embedplane_server.settings import Overrides

Kind = Literal["embedding", "reranker", "classifier"]
"""What a model is for, as text-embeddings-inference tells them apart."""

# Models that number positions from pad_token_id + 1: so many fewer tokens fit than config.json says.
_SHIFTED_POSITIONS = frozenset({"roberta", "xlm-roberta", "camembert", "mpnet", "xlm-roberta-xl", "longformer", "esm"})


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """A model as it is served; `vector_space` is the id of the space its vectors lie in.

    A model that classifies has a row of logits where others have a vector: `dimensions` is the number of its labels,
    and it has neither pooling nor similarity.
    """

    architecture: str
    dimensions: int
    pooling: str | None
    normalized: bool
    max_sequence_length: int
    similarity: str | None
    prompts: dict[str, str]
    default_prompt: str | None
    vector_space: str
    task: Task = "embedding"
    labels: tuple[str, ...] = ()
    activation: Activation | None = None
    """How logits become scores; None: the model embeds."""

    @property
    def kind(self) -> Kind:
        """One label is a score of how well two texts fit, more are classes."""
        if self.task == "embedding":
            return "embedding"
        return "reranker" if len(self.labels) == 1 else "classifier"

    @property
    def default_prompt_text(self) -> str:
        """What stands before every text that names no prompt."""
        return self.prompts[self.default_prompt] if self.default_prompt else ""

    def as_document(self) -> dict[str, Any]:
        """Return the description with camelCase keys, as users read it."""
        return {to_camel(key): value for key, value in asdict(self).items()}


def describe(folder: Path, overrides: Overrides, digests: Mapping[str, str] | None = None) -> ModelDescription:
    """Describe a model's folder; with `digests` (sha256 by path) the weights are not read and need not be there."""
    chain = with_overrides(read_chain(folder), overrides)
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} | set(digests or {})
    weights = weight_files(names, ((module.kind, module.path) for module in chain.modules))
    known = digests if digests is not None else {name: file_sha256(folder / name) for name in weights}
    written = read_json(folder, "config_sentence_transformers.json")
    behaviour = _behaviour(folder, chain, overrides, written)
    _refuse_prompt_exclusion(chain, behaviour)
    config = chain.transformer.config
    classifier = behaviour.classifier
    return ModelDescription(
        architecture=str((config.get("architectures") or [config["model_type"]])[0]),
        dimensions=len(classifier.labels) if classifier else _dimensions(chain),
        pooling="+".join(chain.pooling_modes) or None,
        normalized=chain.is_normalized,
        max_sequence_length=behaviour.max_sequence_length,
        similarity=None if classifier else str(written.get("similarity_fn_name") or "cosine"),
        prompts=dict(behaviour.prompts),
        default_prompt=behaviour.default_prompt,
        vector_space=vector_space_id(folder, chain, behaviour, {name: known[name] for name in weights}),
        task=chain.task,
        labels=classifier.labels if classifier else (),
        activation=classifier.activation if classifier else None,
    )


def file_sha256(path: Path) -> str:
    """Return a file's sha256 in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _behaviour(folder: Path, chain: Chain, overrides: Overrides, written: Mapping[str, Any]) -> Behaviour:
    window = _window(folder, chain, overrides)
    if chain.task == "classification":
        return Behaviour({}, None, window, _classifier(chain, written))
    prompts = overrides.prompts if overrides.prompts is not None else dict(written.get("prompts") or {})
    default = overrides.default_prompt or written.get("default_prompt_name")
    if default is not None and default not in prompts:
        known = ", ".join(sorted(prompts)) or "none"
        message = f"the default prompt {default!r} is not among the prompts ({known})"
        if overrides.default_prompt or overrides.prompts is not None:
            raise invalid_settings(f"embedding.defaultPrompt: {message}. Add it to embedding.prompts or name another.")
        raise unsupported_model(f"config_sentence_transformers.json: {message}. Set embedding.prompts.")
    return Behaviour(prompts, default, window)


def _classifier(chain: Chain, written: Mapping[str, Any]) -> Classifier:
    default = written.get("default_prompt_name")
    if default and (written.get("prompts") or {}).get(default):
        raise unsupported_model(f"the model puts its prompt {default!r} before all pairs, which is not supported.")
    return read_classifier(chain.transformer.config, written)


def _window(folder: Path, chain: Chain, overrides: Overrides) -> int:
    """Return how many tokens count, as sentence-transformers decides it, never more than the model has positions."""
    config = chain.transformer.config
    positions = _positions(config)
    if (asked := overrides.max_sequence_length) is not None:
        if positions is not None and asked > positions:
            raise invalid_settings(
                f"embedding.maxSequenceLength is {asked}, but the model has positions for {positions} tokens only. "
                f"Write {positions} or less."
            )
        return asked
    written = chain.settings.get("max_seq_length")
    if written is None:
        written = read_json(folder / chain.transformer.path, "tokenizer_config.json").get("model_max_length")
    limits = [int(limit) for limit in (written, positions) if limit is not None and 0 < limit < 10**9]
    if not limits:
        raise unsupported_model("the model's files do not say how long a text may be. Set embedding.maxSequenceLength.")
    return min(limits)


def _positions(config: Mapping[str, Any]) -> int | None:
    positions = config.get("max_position_embeddings")
    if not isinstance(positions, int) or positions <= 0:
        return None
    return positions - (int(config.get("pad_token_id") or 0) + 1 if config["model_type"] in _SHIFTED_POSITIONS else 0)


def _dimensions(chain: Chain) -> int:
    config = chain.transformer.config
    hidden = next((config[key] for key in ("hidden_size", "d_model", "n_embd", "dim") if key in config), None)
    if hidden is None:
        raise unsupported_model("config.json does not say the model's hidden size.")
    dimensions = int(hidden) * len(chain.pooling_modes)
    for module in chain.modules:
        if module.kind == "Dense":
            dimensions = int(module.config["out_features"])
    return dimensions


def _refuse_prompt_exclusion(chain: Chain, behaviour: Behaviour) -> None:
    pooling = chain.pooling.config if chain.pooling else {}
    if pooling.get("include_prompt", True) is False and any(behaviour.prompts.values()):
        raise unsupported_model(
            "the model's pooling leaves the prompt's tokens out (include_prompt: false), which is not supported."
        )
