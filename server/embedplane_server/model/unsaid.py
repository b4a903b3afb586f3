"""What a model's files leave unsaid or say twice, so that sentence-transformers' usual reading had to fill it in.

Nothing here changes a vector: the reading is sentence-transformers' own. But a person should see it and decide, by the
field of `spec.embedding` that each finding names; a field that is set silences its finding. The names are shared with
the operator (docs/contract.md).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from embedplane_server.model.chain import LEGACY_POOLING, Chain
from embedplane_server.model.places import read_json
from embedplane_server.model.window import LONGEST, positions, said_window, tokenizer_window
from embedplane_server.settings import Overrides

SIMILARITIES = ("cosine", "dot", "euclidean", "manhattan")


@dataclass(frozen=True, slots=True)
class Unsaid:
    """One thing that was filled in."""

    name: str
    message: str
    field: str | None = None
    """What to set so that it is said; None: only the model's author can."""

    @property
    def told(self) -> str:
        """The finding and what to do about it, in one line."""
        ask = f"Set {self.field} to what is right, which also ends this warning." if self.field else ""
        return f"{self.name}: {self.message}. {ask}".strip()

    def as_document(self) -> dict[str, Any]:
        """Return the finding as users read it."""
        return {key: value for key, value in asdict(self).items() if value is not None}


def find_unsaid(
    folder: Path, files: Chain, prompts: Mapping[str, str], overrides: Overrides, mentions: Sequence[str] = ()
) -> tuple[Unsaid, ...]:
    """Return what is unsaid; `files` is the chain without overrides, `mentions` the prompts of the model's README."""
    found: list[Unsaid] = []
    if overrides.pooling is None and files.task == "embedding":
        found += _pooling(folder, files)
    if overrides.prompts is None and files.task == "embedding":
        found += _prompts(prompts, mentions)
    if overrides.max_sequence_length is None:
        found += _window(folder, files)
    found += _similarity(folder) if files.task == "embedding" else ()
    found += _lower_casing(folder, files)
    return tuple(found)


def _pooling(folder: Path, files: Chain) -> Iterator[Unsaid]:
    assert files.pooling is not None
    config = files.pooling.config
    modes = [mode for key, mode in LEGACY_POOLING.items() if config.get(key)]
    where = f"{files.pooling.path}/config.json"
    field = "embedding.pooling"
    if not read_json(folder, "modules.json"):
        yield Unsaid(
            "PoolingUnsaid", "the model has no modules.json: mean pooling without normalisation is taken", field
        )
    elif "pooling_mode" in config:
        if modes and modes != list(files.pooling_modes):
            words = f"{where} says {'+'.join(files.pooling_modes)} in one place and {'+'.join(modes)} in another"
            yield Unsaid("PoolingContradicted", f"{words}: the first counts", field)
    elif not modes:
        yield Unsaid("PoolingUnsaid", f"{where} names no pooling: mean is taken", field)
    elif len(modes) > 1:
        words = f"{where} names {len(modes)} poolings: vectors are {' and '.join(modes)}, one after the other"
        yield Unsaid("SeveralPoolings", words, field)


def _prompts(prompts: Mapping[str, str], mentions: Sequence[str]) -> Iterator[Unsaid]:
    if missing := [text for text in mentions if not any(text.strip() in prompt for prompt in prompts.values())]:
        named = ", ".join(repr(text) for text in missing)
        words = (
            f"the model's README puts {named} before texts, but config_sentence_transformers.json has no such prompt"
        )
        yield Unsaid("PromptsUnsaid", words, "embedding.prompts")


def _window(folder: Path, files: Chain) -> Iterator[Unsaid]:
    field = "embedding.maxSequenceLength"
    said, most = said_window(files), positions(files.transformer.config)
    of_tokenizer = tokenizer_window(folder, files)
    if said is None and of_tokenizer is None and most is not None:
        yield Unsaid("WindowUnsaid", f"only the model's {most} positions say how long a text may be", field)
    longest = min((limit for limit in (most, of_tokenizer) if limit is not None), default=LONGEST)
    if said is not None and said > longest:
        words = f"the model's settings allow texts of {said} tokens, but config.json or the tokenizer {longest}"
        taken = min(said, most) if most is not None else said
        yield Unsaid("WindowContradicted", f"{words}: {taken} is taken", field)


def _similarity(folder: Path) -> Iterator[Unsaid]:
    named = read_json(folder, "config_sentence_transformers.json").get("similarity_fn_name")
    if named is not None and named not in SIMILARITIES:
        words = f"config_sentence_transformers.json names the similarity {named!r}, which is unknown: cosine is shown"
        yield Unsaid("SimilarityUnknown", words)


def _lower_casing(folder: Path, files: Chain) -> Iterator[Unsaid]:
    place = folder / files.transformer.path
    normalizer = read_json(place, "tokenizer.json").get("normalizer") or {}
    said = read_json(place, "tokenizer_config.json").get("do_lower_case")
    written = normalizer.get("lowercase") if normalizer.get("type") == "BertNormalizer" else None
    if (
        isinstance(said, bool)
        and isinstance(written, bool)
        and said != written
        and not files.settings.get("do_lower_case")
    ):
        words = (
            f"tokenizer_config.json says do_lower_case {str(said).lower()}, tokenizer.json {str(written).lower()}: "
            "transformers' tokenizer of this class decides"
        )
        yield Unsaid("LowerCaseContradicted", words)
