"""The module chain of a sentence-transformers folder: which modules run, in which order, with which configuration.

Only modules whose meaning is known here are accepted; code that comes with a model is never run. What the chain means
as a whole is in `description.py`, its identity in `space.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from embedplane_server.errors import invalid_settings, unsupported_model
from embedplane_server.model.classifier import names_a_classifier
from embedplane_server.model.places import KINDS, module_places, read_json
from embedplane_server.settings import Overrides

Task = Literal["embedding", "classification"]

# The Transformer module's own settings; older models name the file after their architecture.
TRANSFORMER_SETTINGS = tuple(
    f"sentence_{name}_config.json"
    for name in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)

LEGACY_POOLING = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}


@dataclass(frozen=True, slots=True)
class Module:
    """One module; `path` is its folder inside the model, empty for the root."""

    kind: str
    path: str
    config: Mapping[str, Any]

    @property
    def has_weights(self) -> bool:
        return KINDS[self.kind]


@dataclass(frozen=True, slots=True)
class Chain:
    """The modules in the order they run, and the Transformer module's own settings."""

    modules: tuple[Module, ...]
    settings: Mapping[str, Any]

    @property
    def transformer(self) -> Module:
        return self.modules[0]

    @property
    def task(self) -> Task:
        """A Transformer alone ends in its own classification head; all that pool embed."""
        return "embedding" if len(self.modules) > 1 else "classification"

    @property
    def pooling(self) -> Module | None:
        return next((module for module in self.modules if module.kind == "Pooling"), None)

    @property
    def pooling_modes(self) -> tuple[str, ...]:
        return () if self.pooling is None else pooling_modes(self.pooling.config)

    @property
    def width(self) -> int:
        """Length of a token's vector."""
        config = self.transformer.config
        hidden = next((config[key] for key in ("hidden_size", "d_model", "n_embd", "dim") if key in config), None)
        if hidden is None:
            raise unsupported_model("config.json does not say the model's hidden size.")
        return int(hidden)

    @property
    def is_normalized(self) -> bool:
        return self.modules[-1].kind == "Normalize"


def pooling_modes(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the modes of a pooling configuration, old form or new, in the order they are concatenated."""
    if "pooling_mode" in config:
        mode = config["pooling_mode"]
        return (mode,) if isinstance(mode, str) else tuple(mode)
    return tuple(mode for key, mode in LEGACY_POOLING.items() if config.get(key)) or ("mean",)


def read_chain(folder: Path) -> Chain:
    """Read the chain and refuse what cannot be served exactly."""
    modules = []
    for kind, path in module_places(folder):
        # Without modules.json the pooling shares the transformer's folder and has no configuration of its own.
        shares_root = kind != "Transformer" and not path
        modules.append(Module(kind, path, {} if shares_root else read_json(folder / path, "config.json")))
    settings_folder = folder / modules[0].path
    read = (read_json(settings_folder, name) for name in TRANSFORMER_SETTINGS)
    settings: dict[str, Any] = next((content for content in read if content), {})
    chain = Chain(tuple(modules), settings)
    _refuse_unsupported(chain)
    return chain


def _refuse_unsupported(chain: Chain) -> None:
    config = chain.transformer.config
    _refuse_unsupported_order([module.kind for module in chain.modules], names_a_classifier(config))
    if not config.get("model_type"):
        raise unsupported_model("config.json of the model is missing or names no model_type.")
    if config.get("auto_map") or _asks_for_own_code(chain.settings):
        raise unsupported_model(
            f"the model ({config['model_type']}) needs trust_remote_code; code that comes with a model is never run. "
            "Use a model whose architecture is part of transformers."
        )
    if chain.task == "embedding":
        _refuse_heads(config)
    _refuse_unsupported_settings(chain)


def _refuse_unsupported_order(kinds: list[str], is_classifier: bool) -> None:
    if kinds == ["Transformer"] and is_classifier:
        return
    if (
        kinds[0] != "Transformer"
        or kinds[1:2] != ["Pooling"]
        or kinds.count("Pooling") + kinds.count("Transformer") > 2
    ):
        raise unsupported_model(
            f"the modules are {' > '.join(kinds)}; only a Transformer, a Pooling and what follows it can be served, or "
            "a Transformer for sequence classification alone."
        )
    if "Normalize" in kinds[:-1]:
        raise unsupported_model(
            f"the modules are {' > '.join(kinds)}; a Normalize is served at the end only. Fold it into the last module."
        )


def _refuse_heads(config: Mapping[str, Any]) -> None:
    if architecture := next((a for a in config.get("architectures") or () if a.endswith("Classification")), None):
        raise unsupported_model(
            f"{architecture} is a classifier or reranker, but modules.json makes a model that embeds of it. "
            "Correct the one or the other."
        )


def _asks_for_own_code(settings: Mapping[str, Any]) -> bool:
    return any(isinstance(value, Mapping) and value.get("trust_remote_code") for value in settings.values())


def _refuse_unsupported_settings(chain: Chain) -> None:
    settings = chain.settings
    for key in ("query_length", "document_length", "query_expansion"):
        if settings.get(key):
            raise unsupported_model(f"the model sets {key}; multi-vector models are not served.")
    expected = "feature-extraction" if chain.task == "embedding" else "sequence-classification"
    if settings.get("transformer_task", expected) != expected:
        raise unsupported_model(f"the model's task is {settings['transformer_task']}; only {expected} is served.")
    if set(settings.get("modality_config") or {"text"}) != {"text"}:
        raise unsupported_model("the model takes more than text; only text-embedding models are served.")
    for module in chain.modules:
        for key in ("module_input_name", "module_output_name"):
            if (
                module.config.get(key) or "sentence_embedding"
            ) != "sentence_embedding" and module.kind != "Transformer":
                raise unsupported_model(
                    f"{module.path}/config.json says {key}: {module.config[key]}; only sentence_embedding is served."
                )
        activation = str(module.config.get("activation_function") or "torch.nn")
        if module.kind == "Dense" and not activation.startswith("torch.nn"):
            raise unsupported_model(
                f"{module.path}/config.json names the activation {activation}, which is not torch's."
            )


def with_overrides(chain: Chain, overrides: Overrides) -> Chain:
    """Return the chain as `spec.embedding` wants it: another pooling, with or without normalisation."""
    if chain.task == "classification":
        _refuse_overrides(overrides)
    modules = list(chain.modules)
    if overrides.pooling is not None:
        modules[1] = replace(
            modules[1], config={**_without_modes(modules[1].config), "pooling_mode": overrides.pooling}
        )
    # A model that normalises already keeps its own module: its configuration is part of the space's identity.
    if overrides.normalize is not None and overrides.normalize != chain.is_normalized:
        modules = [module for module in modules if module.kind != "Normalize"]
        modules += [Module("Normalize", "", {})] if overrides.normalize else []
    return replace(chain, modules=tuple(modules))


def _refuse_overrides(overrides: Overrides) -> None:
    window = {"max_sequence_length"}
    if overridden := sorted(overrides.model_dump(by_alias=True, exclude_none=True, exclude=window)):
        raise invalid_settings(
            f"embedding.{overridden[0]} is set, but the model is a classifier or reranker, which has no vectors. "
            "Remove the field; maxSequenceLength is the only one that such models have."
        )


def refuse_unknown_pooling(chain: Chain) -> None:
    """Refuse a pooling that nobody knows; a user's override comes first."""
    if chain.pooling is None:
        return
    config, where = chain.pooling.config, f"{chain.pooling.path}/config.json"
    ask = f"Set embedding.pooling to one of {', '.join(LEGACY_POOLING.values())}."
    unknown = [mode for mode in chain.pooling_modes if mode not in LEGACY_POOLING.values()]
    unknown += [key for key in config if key.startswith("pooling_mode_") and key not in LEGACY_POOLING]
    if unknown:
        raise unsupported_model(f"{where} of the model names the pooling {unknown[0]!r}, which is unknown. {ask}")
    if not config and chain.pooling.path:
        raise unsupported_model(f"{where} of the model is missing or empty, so its pooling is unknown. {ask}")


def _without_modes(config: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in config.items() if not key.startswith("pooling_mode_")}
