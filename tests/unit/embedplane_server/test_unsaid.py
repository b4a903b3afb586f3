"""What a model's files leave unsaid or contradict is refused or told, names what to set, and is silenced by that."""

import json
from pathlib import Path
from typing import Any

import pytest

from embedplane_server.errors import PermanentError
from embedplane_server.model.description import read_model
from embedplane_server.model.readme import mentioned_prompts, read_mentions
from embedplane_server.settings import Overrides
from tests.support.reference import minilm_folder
from tests.unit.embedplane_server.model_folder import BERT, word_tokenizer, write_model

E5 = """```python
input_texts = ['query: how much protein should a female eat', "passage: As a general guideline, ..."]
```"""
BGE = "instruction: `Represent this sentence for searching relevant passages:` before each query"
MIXED = "Represent this sentence for searching relevant passages:"


def unsaid(folder: Path, readme: str = "", **overrides: Any) -> dict[str, str | None]:
    """Return the findings: what to set by name."""
    reading = read_model(folder, Overrides(**overrides))
    return {each.name: each.field for each in reading.unsaid(mentioned_prompts(readme))}


def lower_casing(*, lowercase: bool) -> dict[str, Any]:
    return {**json.loads(word_tokenizer().to_str()), "normalizer": {"type": "BertNormalizer", "lowercase": lowercase}}


def test_of_a_usual_model_everything_is_said(tmp_path: Path) -> None:
    assert unsaid(write_model(tmp_path)) == {}
    assert unsaid(minilm_folder()) == {}


@pytest.mark.parametrize(
    ("files", "name", "said"),
    [
        ({"modules_json": None}, "PoolingUnsaid", {"pooling": "mean"}),
        ({"1_Pooling_config_json": {"word_embedding_dimension": 8}}, "PoolingUnsaid", {"pooling": "cls"}),
        (
            {"1_Pooling_config_json": {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True}},
            "SeveralPoolings",
            {"pooling": "mean"},
        ),
        (
            {"1_Pooling_config_json": {"pooling_mode": "max", "pooling_mode_cls_token": True}},
            "PoolingContradicted",
            {"pooling": "max"},
        ),
        ({"sentence_bert_config_json": {"max_seq_length": 100}}, "WindowContradicted", {"max_sequence_length": 64}),
        (
            {"tokenizer_config_json": {"model_max_length": 16}},
            "WindowContradicted",
            {"max_sequence_length": 16},
        ),
        (
            {"sentence_bert_config_json": None, "tokenizer_config_json": {"model_max_length": 10**30}},
            "WindowUnsaid",
            {"max_sequence_length": 64},
        ),
    ],
)
def test_what_is_filled_in_is_told_until_the_field_is_set(
    tmp_path: Path, files: dict[str, Any], name: str, said: dict[str, Any]
) -> None:
    folder = write_model(tmp_path, **files)
    fields = {"pooling": "embedding.pooling", "max_sequence_length": "embedding.maxSequenceLength"}
    assert unsaid(folder) == {name: fields[next(iter(said))]}
    assert unsaid(folder, **said) == {}


@pytest.mark.parametrize("readme", [E5, BGE, 'use "search_query: " and "search_document: "', "f'Instruct: {task}'"])
def test_prompts_that_only_the_readme_names_are_told(tmp_path: Path, readme: str) -> None:
    folder = write_model(tmp_path)
    assert unsaid(folder, readme) == {"PromptsUnsaid": "embedding.prompts"}
    assert unsaid(folder, readme, prompts={"query": "any: "}) == {}
    assert unsaid(folder, readme, prompts={}) == {}


def test_prompts_that_the_configuration_has_as_well_are_said(tmp_path: Path) -> None:
    prompts = {"query": f"{MIXED} ", "passage": ""}
    assert unsaid(write_model(tmp_path, config_sentence_transformers_json={"prompts": prompts}), BGE) == {}


def test_the_prompts_that_are_missing_are_named(tmp_path: Path) -> None:
    folder = write_model(tmp_path, config_sentence_transformers_json={"prompts": {"query": "query: "}})
    (found,) = read_model(folder, Overrides()).unsaid(mentioned_prompts(E5))
    assert "'passage: '" in found.message
    assert "'query: '" not in found.message


@pytest.mark.parametrize(
    "readme", ["", "Ask a query: it answers.", "a passage: of text", b"\xff\xfe no text".decode("latin1")]
)
def test_prose_names_no_prompts(readme: str) -> None:
    assert mentioned_prompts(readme) == ()


def test_a_readme_that_is_missing_or_huge_names_no_prompts(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    assert read_mentions(readme) == ()
    readme.write_text(BGE + "x" * (1 << 20))
    assert read_mentions(readme) == ()


def test_lower_casing_that_two_files_contradict_is_told(tmp_path: Path) -> None:
    files = {"tokenizer_json": lower_casing(lowercase=True), "tokenizer_config_json": {"do_lower_case": False}}
    assert unsaid(write_model(tmp_path, **files)) == {"LowerCaseContradicted": None}


def test_an_unknown_similarity_is_told_and_not_shown(tmp_path: Path) -> None:
    folder = write_model(tmp_path, config_sentence_transformers_json={"similarity_fn_name": "hamming"})
    assert unsaid(folder) == {"SimilarityUnknown": None}
    assert read_model(folder, Overrides()).describe().similarity == "cosine"


@pytest.mark.parametrize(
    ("config", "cause"),
    [
        ({"embedding_dimension": 8, "pooling_mode": "attention"}, "'attention', which is unknown"),
        ({"pooling_mode_attention": True, "pooling_mode_cls_token": True}, "'pooling_mode_attention'"),
        ({}, "missing or empty"),
        (None, "missing or empty"),
    ],
)
def test_a_pooling_that_nobody_knows_is_refused_with_the_field_that_says_it(
    tmp_path: Path, config: dict[str, Any] | None, cause: str
) -> None:
    folder = write_model(tmp_path, **{"1_Pooling/config.json": config})
    with pytest.raises(PermanentError, match=rf"{cause}.*Set embedding\.pooling to one of cls, max") as caught:
        read_model(folder, Overrides())
    assert caught.value.reason == "UnsupportedModel"
    assert read_model(folder, Overrides(pooling="cls")).describe().pooling == "cls"
    assert unsaid(folder, pooling="cls") == {}


def test_a_prompt_that_is_no_text_is_refused(tmp_path: Path) -> None:
    folder = write_model(tmp_path, config_sentence_transformers_json={"prompts": {"query": ["x"], "document": None}})
    with pytest.raises(PermanentError, match=r"Set embedding\.prompts"):
        read_model(folder, Overrides())
    assert read_model(folder, Overrides(prompts={"query": "x"})).describe().prompts == {"query": "x"}


def test_a_classifier_has_neither_pooling_nor_prompts_to_say(tmp_path: Path) -> None:
    config = {**BERT, "architectures": ["BertForSequenceClassification"], "num_labels": 1}
    assert unsaid(write_model(tmp_path, modules_json=None, config_json=config), E5) == {}
