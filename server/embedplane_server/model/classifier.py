"""What the files of a sequence classifier say about its scores: their labels, and how logits become scores.

A model with one label is a reranker (sentence-transformers: CrossEncoder); its activation is the one that
`CrossEncoder.predict` applies by default. With more labels it is a classifier, whose scores are those of transformers'
text-classification pipeline unless the model itself names an activation.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from embedplane_server.errors import unsupported_model

Activation = Literal["identity", "sigmoid", "softmax"]

ARCHITECTURE_SUFFIX = "ForSequenceClassification"

ACTIVATION_KEYS = frozenset({"sbert_ce_default_activation_function", "sentence_transformers"})
"""Keys of config.json in which sentence-transformers before 6 keeps the activation."""

_NAMED: Mapping[str, Activation] = {"Identity": "identity", "Sigmoid": "sigmoid"}
_BY_PROBLEM: Mapping[str, Activation] = {"multi_label_classification": "sigmoid", "regression": "identity"}
_USUAL_LABELS = 2
"""How many labels transformers assumes where config.json says nothing."""


@dataclass(frozen=True, slots=True)
class Classifier:
    """Labels in the order of the logits, and how logits become scores."""

    labels: tuple[str, ...]
    activation: Activation


def names_a_classifier(config: Mapping[str, Any]) -> bool:
    """Tell whether a config.json is of a model that classifies whole texts."""
    return any(str(name).endswith(ARCHITECTURE_SUFFIX) for name in config.get("architectures") or ())


def read_classifier(config: Mapping[str, Any], written: Mapping[str, Any]) -> Classifier:
    """Read config.json and config_sentence_transformers.json; what cannot be served exactly is refused."""
    labels = _labels(config)
    named = _named_activation(config, written)
    if len(labels) == 1:
        return Classifier(labels, named or "sigmoid")
    if named in (None, "identity"):
        return Classifier(labels, _BY_PROBLEM.get(str(config.get("problem_type")), "softmax"))
    return Classifier(labels, named)


def _labels(config: Mapping[str, Any]) -> tuple[str, ...]:
    count = config.get("num_labels", _USUAL_LABELS)
    written = config.get("id2label") or {str(index): f"LABEL_{index}" for index in range(int(count))}
    try:
        by_index = {int(index): str(label) for index, label in written.items()}
    except (AttributeError, ValueError) as error:
        raise unsupported_model(f"id2label of config.json is not a list of labels by their index ({error}).") from error
    if sorted(by_index) != list(range(len(by_index))):
        raise unsupported_model("id2label of config.json does not name every label from 0 on. Repair the model.")
    return tuple(by_index[index] for index in range(len(by_index)))


def _named_activation(config: Mapping[str, Any], written: Mapping[str, Any]) -> Activation | None:
    """Return the activation that sentence-transformers would load: its own files first, torch's functions only."""
    older = config.get("sentence_transformers")
    candidates = (
        written.get("activation_fn"),
        older.get("activation_fn") if isinstance(older, Mapping) else None,
        config.get("sbert_ce_default_activation_function"),
    )
    name = next((str(each) for each in candidates if str(each).startswith("torch.")), None)
    if name is None:
        return None
    try:
        return _NAMED[name.rpartition(".")[2]]
    except KeyError:
        raise unsupported_model(
            f"the model's scores go through {name}; served are models with {' or '.join(_NAMED)}."
        ) from None
