"""The identity of a vector space: `vs1-` and 20 hex digits over everything that decides where a text's vector lies.

docs/vector-space.md describes the canonical form for users. A change of the form would be `vs2-`: ids of pinned models
never change. Names, engines, precision and hardware are not part of it.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embedplane_server.model.chain import Chain, Module, pooling_modes
from embedplane_server.model.classifier import ACTIVATION_KEYS, Classifier
from embedplane_server.model.places import read_json

# Keys of a config.json that do not change vectors.
INERT_KEYS = frozenset(
    {
        "_attn_implementation",
        "_attn_implementation_autoset",
        "_commit_hash",
        "_name_or_path",
        "attn_implementation",
        "dtype",
        "finetuning_task",
        "gradient_checkpointing",
        "id2label",
        "label2id",
        "name_or_path",
        "torch_dtype",
        "transformers_version",
        "use_cache",
    }
)

# Keys of sentence_bert_config.json that stand elsewhere in the form, or that change no vector of a text.
PLAIN_TRANSFORMER_SETTINGS = frozenset(
    {
        "do_lower_case",
        "document_length",
        "max_seq_length",
        "modality_config",
        "query_expansion",
        "query_length",
        "transformer_task",
        "trust_remote_code",
        "unpad_inputs",
    }
)
USUAL_OUTPUTS = (("module_output_name", "token_embeddings"), ("module_output_name", "scores"))
"""What a Transformer's output is called unless the model says otherwise: of one that embeds, of a classifier."""
USUAL_WAYS = (("method", "forward"), ("method_output_name", "last_hidden_state"), ("method_output_name", "logits"))
"""How a text goes through the Transformer unless modality_config says otherwise."""

# Keys of tokenizer_config.json that change token ids.
TOKENIZER_SETTINGS = (
    "add_bos_token",
    "add_eos_token",
    "add_prefix_space",
    "additional_special_tokens",
    "bos_token",
    "cls_token",
    "do_lower_case",
    "eos_token",
    "extra_special_tokens",
    "legacy",
    "mask_token",
    "pad_token",
    "padding_side",
    "sep_token",
    "split_special_tokens",
    "strip_accents",
    "tokenize_chinese_chars",
    "truncation_side",
    "unk_token",
)

UNUSUAL_TOKENIZER_SETTINGS: Mapping[str, Any] = {
    "fix_mistral_regex": False,
    "keep_accents": False,
    "remove_space": True,
}
"""Keys of tokenizer_config.json that change token ids unless they have these values."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What decides vectors or scores besides the files: prompts by name, the default one's name, and the window."""

    prompts: Mapping[str, str]
    default_prompt: str | None
    max_sequence_length: int
    classifier: Classifier | None = None
    """None: the model embeds."""


def vector_space_id(form: Mapping[str, Any]) -> str:
    """Return the id of a canonical form."""
    return "vs1-" + sha256_of(form)[:20]


def canonical_form(folder: Path, chain: Chain, behaviour: Behaviour, weights: Mapping[str, str]) -> dict[str, Any]:
    """Return what the id is a hash of; `weights` has the sha256 of each weight file by its path in the model."""
    settings = _transformer_settings(chain.settings)
    # Of a classifier the activation stands in the form itself.
    inert = ACTIVATION_KEYS if behaviour.classifier else frozenset()
    return {
        # Absent where nothing is set, as in nearly every model.
        **({"transformer": settings} if settings else {}),
        **_scores(behaviour.classifier),
        "modules": [
            _pooling(module, chain, behaviour) if module.kind == "Pooling" else _module(module, weights, inert)
            for module in chain.modules
            if module.kind != "Dropout"
        ],
        "tokenizer": _tokenizer(folder / chain.transformer.path, chain.settings),
        "prompts": {name: text for name, text in behaviour.prompts.items() if text},
        "defaultPrompt": behaviour.default_prompt,
        "maxSequenceLength": behaviour.max_sequence_length,
    }


def _scores(classifier: Classifier | None) -> dict[str, Any]:
    """Return what makes scores of a classifier's logits; absent where a model embeds."""
    return {} if classifier is None else {"labels": list(classifier.labels), "activation": classifier.activation}


def _transformer_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return what sentence-transformers passes on to the model and its tokenizer besides their own files."""
    plain = {key: _arguments(value) for key, value in settings.items() if key not in PLAIN_TRANSFORMER_SETTINGS}
    plain["modality_config"] = _unusual_ways(settings.get("modality_config") or {})
    return {
        key: value for key, value in plain.items() if value not in (None, {}, []) and (key, value) not in USUAL_OUTPUTS
    }


def _unusual_ways(modalities: Mapping[str, Any]) -> dict[str, Any]:
    ways = {
        modality: {key: value for key, value in way.items() if (key, value) not in USUAL_WAYS}
        for modality, way in modalities.items()
    }
    return {modality: way for modality, way in ways.items() if way}


def _arguments(value: Any) -> Any:  # noqa: ANN401 -- any JSON document
    if isinstance(value, Mapping):
        return {key: inner for key, inner in _live(value).items() if key != "trust_remote_code"}
    return value


def sha256_of(document: Any) -> str:  # noqa: ANN401 -- any JSON document
    """Return the sha256 of a document's canonical JSON: sorted keys, no spaces, UTF-8."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def leaves_prompts_out(chain: Chain, behaviour: Behaviour) -> bool:
    """Tell whether there are prompts whose tokens the pooling leaves out."""
    config = chain.pooling.config if chain.pooling else {}
    return config.get("include_prompt") is False and any(behaviour.prompts.values())


def _pooling(module: Module, chain: Chain, behaviour: Behaviour) -> dict[str, Any]:
    config: dict[str, Any] = {"modes": list(pooling_modes(module.config))}
    if leaves_prompts_out(chain, behaviour):
        config["includePrompt"] = False
    return {"kind": module.kind, "config": config, "weights": {}}


def _module(module: Module, weights: Mapping[str, str], inert: frozenset[str]) -> dict[str, Any]:
    config = _live(module.config)
    own = {name: digest for name, digest in weights.items() if name.rpartition("/")[0] == module.path}
    config = {key: value for key, value in config.items() if key not in inert}
    return {"kind": module.kind, "config": config, "weights": own if module.has_weights else {}}


def _live(value: Any) -> Any:  # noqa: ANN401 -- any JSON document
    if isinstance(value, Mapping):
        return {key: _live(inner) for key, inner in value.items() if key not in INERT_KEYS}
    return [_live(inner) for inner in value] if isinstance(value, list) else value


def _tokenizer(folder: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    tokenizer = read_json(folder, "tokenizer.json")
    written = {**read_json(folder, "special_tokens_map.json"), **read_json(folder, "tokenizer_config.json")}
    counted = {key: _token_text(written[key]) for key in TOKENIZER_SETTINGS if written.get(key) is not None}
    unusual = {
        key: written[key] for key, usual in UNUSUAL_TOKENIZER_SETTINGS.items() if written.get(key) not in (None, usual)
    }
    further = _further_tokens(tokenizer, written)
    return {
        "tokenizer": sha256_of({key: tokenizer[key] for key in tokenizer if key not in ("padding", "truncation")}),
        "settings": {**counted, **unusual},
        "added": read_json(folder, "added_tokens.json"),
        "lowerCase": bool(settings.get("do_lower_case")),
        # Absent where tokenizer.json has them all, as in nearly every model.
        **({"further": further} if further else {}),
    }


def _further_tokens(tokenizer: Mapping[str, Any], written: Mapping[str, Any]) -> list[str]:
    """Return the tokens that tokenizer_config.json adds to those of tokenizer.json, sorted."""
    named = [value for key, value in written.items() if key.endswith("_token") and key not in TOKENIZER_SETTINGS]
    by_purpose = written.get("model_specific_special_tokens") or {}
    by_id = written.get("added_tokens_decoder") or {}
    texts = {_token_text(token) for token in (*named, *by_purpose.values(), *by_id.values())}
    known = {token["content"] for token in tokenizer.get("added_tokens") or ()}
    return sorted(text for text in texts - known if isinstance(text, str))


def _token_text(value: Any) -> Any:  # noqa: ANN401 -- a token may be a text or an object that holds it
    return value["content"] if isinstance(value, Mapping) and "content" in value else value
