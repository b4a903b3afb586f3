"""What a sentence-transformers folder says about its vectors or scores, together with what the user overrides.

Reads JSON only: no weights are loaded (they are hashed), no code of the model is run.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic.alias_generators import to_camel

from embedplane_server.errors import invalid_settings, unsupported_model
from embedplane_server.model.chain import Chain, Task, read_chain, refuse_unknown_pooling, with_overrides
from embedplane_server.model.classifier import Activation, Classifier, read_classifier
from embedplane_server.model.files import weight_files
from embedplane_server.model.places import read_json
from embedplane_server.model.space import Behaviour, canonical_form, leaves_prompts_out, vector_space_id
from embedplane_server.model.unsaid import SIMILARITIES, Unsaid, find_unsaid
from embedplane_server.model.window import window
from embedplane_server.settings import Overrides

Kind = Literal["embedding", "reranker", "classifier"]
"""What a model is for, as text-embeddings-inference tells them apart."""


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
    pools_prompts: bool = True
    """Whether the tokens of prompts are pooled like all others; a model without prompts has none to leave out."""
    weights_type: str | None = None
    """The type that config.json says the weights have, and were trained in; no part of the vector space."""

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


@dataclass(frozen=True, slots=True)
class Reading:
    """A model's files as they are read, with the user's overrides; what it means is in its description."""

    folder: Path
    overrides: Overrides
    files: Chain
    """The chain that the files tell, without overrides."""
    chain: Chain
    behaviour: Behaviour
    weights: Mapping[str, str]
    """sha256 of each weight file by its path."""

    @property
    def form(self) -> dict[str, Any]:
        """What the id of the vector space is a hash of."""
        return canonical_form(self.folder, self.chain, self.behaviour, self.weights)

    def unsaid(self, mentions: Sequence[str] = ()) -> tuple[Unsaid, ...]:
        """Return what the files leave unsaid; `mentions` are the prompts that the model's README names."""
        return find_unsaid(self.folder, self.files, self.behaviour.prompts, self.overrides, mentions)

    def describe(self) -> ModelDescription:
        """Return what the model is."""
        config, classifier = self.chain.transformer.config, self.behaviour.classifier
        return ModelDescription(
            architecture=str((config.get("architectures") or [config["model_type"]])[0]),
            dimensions=len(classifier.labels) if classifier else _dimensions(self.chain),
            pooling="+".join(self.chain.pooling_modes) or None,
            normalized=self.chain.is_normalized,
            max_sequence_length=self.behaviour.max_sequence_length,
            similarity=None if classifier else _similarity(self.folder),
            prompts=dict(self.behaviour.prompts),
            default_prompt=self.behaviour.default_prompt,
            vector_space=vector_space_id(self.form),
            task=self.chain.task,
            labels=classifier.labels if classifier else (),
            activation=classifier.activation if classifier else None,
            weights_type=_weights_type(config),
            pools_prompts=not leaves_prompts_out(self.chain, self.behaviour),
        )


def describe(folder: Path, overrides: Overrides, digests: Mapping[str, str] | None = None) -> ModelDescription:
    """Describe a model's folder; with `digests` (sha256 by path) the weights are not read and need not be there."""
    return read_model(folder, overrides, digests).describe()


def read_model(folder: Path, overrides: Overrides, digests: Mapping[str, str] | None = None) -> Reading:
    """Read a model's folder; `digests` as of `describe`. What cannot be served exactly is refused."""
    files = read_chain(folder)
    chain = with_overrides(files, overrides)
    refuse_unknown_pooling(chain)
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} | set(digests or {})
    weights = weight_files(names, ((module.kind, module.path) for module in chain.modules))
    known = digests if digests is not None else {name: file_sha256(folder / name) for name in weights}
    written = read_json(folder, "config_sentence_transformers.json")
    behaviour = _behaviour(folder, chain, overrides, written)
    _refuse_prompt_exclusion(chain, behaviour)
    return Reading(folder, overrides, files, chain, behaviour, {name: known[name] for name in weights})


def file_sha256(path: Path) -> str:
    """Return a file's sha256 in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _behaviour(folder: Path, chain: Chain, overrides: Overrides, written: Mapping[str, Any]) -> Behaviour:
    tokens = window(folder, chain, overrides.max_sequence_length)
    if chain.task == "classification":
        return Behaviour({}, None, tokens, _classifier(chain, written))
    prompts = overrides.prompts if overrides.prompts is not None else _prompts(written)
    default = overrides.default_prompt or written.get("default_prompt_name")
    if default is not None and default not in prompts:
        known = ", ".join(sorted(prompts)) or "none"
        message = f"the default prompt {default!r} is not among the prompts ({known})"
        if overrides.default_prompt or overrides.prompts is not None:
            raise invalid_settings(f"embedding.defaultPrompt: {message}. Add it to embedding.prompts or name another.")
        raise unsupported_model(f"config_sentence_transformers.json: {message}. Set embedding.prompts.")
    return Behaviour(prompts, default, tokens)


def _prompts(written: Mapping[str, Any]) -> dict[str, str]:
    prompts = {name: "" if text is None else text for name, text in (written.get("prompts") or {}).items()}
    if not all(isinstance(text, str) for text in prompts.values()):
        raise unsupported_model(
            "config_sentence_transformers.json has a prompt that is no text. Set embedding.prompts, or repair it."
        )
    return prompts


def _classifier(chain: Chain, written: Mapping[str, Any]) -> Classifier:
    default = written.get("default_prompt_name")
    if default and (written.get("prompts") or {}).get(default):
        raise unsupported_model(f"the model puts its prompt {default!r} before all pairs, which is not supported.")
    return read_classifier(chain.transformer.config, written)


def _similarity(folder: Path) -> str:
    named = read_json(folder, "config_sentence_transformers.json").get("similarity_fn_name")
    return named if named in SIMILARITIES else "cosine"


def _weights_type(config: Mapping[str, Any]) -> str | None:
    """Return what newer versions of transformers call dtype and older ones torch_dtype, for example bfloat16."""
    written = config.get("dtype") or config.get("torch_dtype")
    return str(written).removeprefix("torch.") if written else None


def _dimensions(chain: Chain) -> int:
    dimensions = chain.width * len(chain.pooling_modes)
    for module in chain.modules:
        if module.kind == "Dense":
            dimensions = int(module.config["out_features"])
    return dimensions


def _refuse_prompt_exclusion(chain: Chain, behaviour: Behaviour) -> None:
    if leaves_prompts_out(chain, behaviour) and "weightedmean" in chain.pooling_modes:
        raise unsupported_model(
            "the model's weighted mean leaves the prompt's tokens out (include_prompt: false), which is not supported. "
            "Set embedding.prompts to {} to serve it without prompts."
        )
