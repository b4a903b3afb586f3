"""What `page.html` says of models of one kind only: its words, the numbers at its top, the facts and an example."""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from embedplane_server.model.classifier import Activation
from embedplane_server.model.description import Kind
from embedplane_server.results import ConformanceResult
from embedplane_server.routes.page_pieces import codes, grouped, rounded_down, small
from embedplane_server.schemas.info import Info

LABELS_SHOWN = 50
"""How many labels stand in the facts; `/info` has all."""


@dataclass(frozen=True, slots=True)
class Words:
    """What the page calls things; HTML."""

    what: str
    title: str
    """Of the box to try it."""
    button: str
    promise: str
    """What will stand where the answer does."""
    window: str
    """What has room in the window."""


WORDS: Mapping[Kind, Words] = {
    "embedding": Words(
        "A text-embedding model",
        "Compare texts",
        "Compare",
        "Each text&rsquo;s similarity to the query, nearest first.",
        "one text",
    ),
    "reranker": Words(
        "A reranker, which scores how well texts fit a query",
        "Rank texts",
        "Rank",
        "Each text&rsquo;s score for the query, best first.",
        "a query and a text together",
    ),
    "classifier": Words(
        "A classifier, which scores labels for a text or a pair of texts",
        "Classify a text",
        "Classify",
        "Each label&rsquo;s score, highest first.",
        "a text, or a pair of texts together",
    ),
}

SCORES: Mapping[Activation, tuple[str, str]] = {
    "identity": ("any number", "the logit itself"),
    "sigmoid": ("0 to 1", "sigmoid"),
    "softmax": ("0 to 1", "softmax"),
}
"""Where scores lie, and which function of the logits they are."""


def example_request(kind: Kind, name: str) -> tuple[str, dict[str, Any]]:
    """Return a path and a body that the model answers."""
    texts = ["first text", "second text"]
    if kind == "embedding":
        return "/v1/embeddings", {"model": name, "input": texts}
    if kind == "reranker":
        return "/rerank", {"query": "a question", "texts": texts}
    return "/predict", {"inputs": "a text"}


def is_from_0_to_1(info: Info, activation: Activation | None) -> bool:
    """Tell whether scores have a scale of their own, on which a bar means something by itself."""
    return info.similarity in ("cosine", None) if activation is None else activation != "identity"


def first_numbers(info: Info, activation: Activation | None, proof: ConformanceResult) -> dict[str, str]:
    """Return what stands at the top of the page, as HTML by its term."""
    window = grouped(info.max_sequence_length)
    if activation is None:
        return {
            "Dimensions": str(info.dimensions),
            "Window": small(window, "tokens"),
            "Similarity": escape(info.similarity or "none"),
            "Conformance": small(f"&ge;&thinsp;{rounded_down(proof.minimum_cosine)}", "cosine"),
        }
    labels = {"Labels": grouped(len(info.labels))} if len(info.labels) > 1 else {}
    return {
        **labels,
        "Scores": small(*SCORES[activation]),
        "Window": small(window, "tokens"),
        "Conformance": _scores_conformance(proof),
    }


def _scores_conformance(proof: ConformanceResult) -> str:
    if proof.maximum_difference is None:
        return small(f"&ge;&thinsp;{rounded_down(proof.minimum_cosine)}", "as a cosine")
    return small(f"&le;&thinsp;{proof.maximum_difference:.6f}", "difference")


def model_facts(info: Info, activation: Activation | None) -> dict[str, str]:
    """Return what the model's files say, as HTML by its term."""
    if activation is None:
        return {
            "Prompts": codes(info.prompts) if info.prompts else "none",
            "Default prompt": codes([info.default_prompt]) if info.default_prompt else "none",
            "Dimensions": ", ".join(map(str, info.allowed_dimensions)),
            "Pooling": f"{escape(info.pooling or 'none')}{', normalised' if info.normalized else ''}",
        }
    more = len(info.labels) - LABELS_SHOWN
    others = f" and {grouped(more)} more, which <code>/info</code> names" if more > 0 else ""
    return {
        "Labels" if len(info.labels) > 1 else "Label": codes(info.labels[:LABELS_SHOWN]) + others,
        "Scores": ", ".join(SCORES[activation]),
    }


def proven(activation: Activation | None, proof: ConformanceResult) -> str:
    """Return in a sentence how near the engine is to the reference."""
    own = f", {proof.own_texts} of them your own" if proof.own_texts else ""
    texts = f"over {proof.texts} texts{own}"
    if proof.maximum_difference is not None and proof.rank_correlation is not None:
        return (
            f"scores differ by {proof.maximum_difference:.6f} at most from those of sentence-transformers {texts}, "
            f"and their order correlates by {rounded_down(proof.rank_correlation)}"
        )
    what = "cosine" if activation is None else "scores count as a cosine of"
    return (
        f"{what} {rounded_down(proof.minimum_cosine)} at least, {rounded_down(proof.mean_cosine)} on average, "
        f"to sentence-transformers {texts}"
    )
