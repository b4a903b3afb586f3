"""`describe` prints the id with all that went into it; anybody can compute it by the rules of docs/vector-space.md."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from embedplane_server.__main__ import main
from embedplane_server.model import describe
from embedplane_server.settings import Overrides
from tests.support.reference import minilm_folder
from tests.unit.embedplane_server.changed_models import changed, model, written
from tests.unit.embedplane_server.inert_changes import INERT
from tests.unit.embedplane_server.live_changes import LIVE
from tests.unit.embedplane_server.model_folder import BERT, write_model

DOCUMENT = Path(__file__).parents[3] / "docs" / "vector-space.md"


def documented_id(folder: Path) -> str:
    """Return what the page's program says."""
    (program,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(program, str(DOCUMENT), "exec"), names)
    return str(names["vector_space_id"](folder))


def described(capsys: pytest.CaptureFixture[str], folder: Path, *arguments: str) -> dict[str, Any]:
    assert main(["describe", str(folder), *arguments], {}) == 0
    return dict(json.loads(capsys.readouterr().out))


def canonical_digest(document: Any) -> str:
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def test_the_output_holds_what_the_id_is_a_hash_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_model(tmp_path, config_sentence_transformers_json={"prompts": {"query": "Frage für: "}})
    space = described(capsys, folder)["vectorSpace"]
    assert space["id"] == f"vs1-{canonical_digest(space['canonical'])[:20]}"
    assert space["id"] == describe(folder, Overrides()).vector_space
    assert space["digests"] == {key: canonical_digest(part) for key, part in space["canonical"].items()}


def test_two_outputs_differ_where_the_models_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = write_model(tmp_path / "one"), write_model(tmp_path / "other", model_safetensors=b"other")
    left, right = (described(capsys, folder)["vectorSpace"] for folder in (one, other))
    assert [key for key in left["digests"] if left["digests"][key] != right["digests"][key]] == ["modules"]
    again = described(capsys, one, "--overrides", '{"maxSequenceLength": 16}')["vectorSpace"]
    assert [key for key in left["digests"] if left["digests"][key] != again["digests"][key]] == ["maxSequenceLength"]


def test_what_is_unsaid_is_told_with_the_field_that_says_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_model(tmp_path, modules_json=None, README_md=b"use `query: ` before queries")
    found = {each["name"]: each["field"] for each in described(capsys, folder)["unsaid"]}
    assert found == {"PoolingUnsaid": "embedding.pooling", "PromptsUnsaid": "embedding.prompts"}
    overrides = '{"pooling": "mean", "prompts": {"query": "query: "}}'
    assert described(capsys, folder, "--overrides", overrides)["unsaid"] == []


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"modules_json": None, "sentence_bert_config_json": None, "1_Pooling_config_json": None},
        {"config_json": {**BERT, "model_type": "xlm-roberta", "pad_token_id": 1}, "sentence_bert_config_json": None},
        {"tokenizer_config_json": {"model_max_length": 10**30, "remove_space": False, "keep_accents": False}},
        {
            "sentence_bert_config_json": {
                "max_seq_length": 9,
                "tokenizer_args": {"model_max_length": 7, "use_fast": True},
            }
        },
    ],
)
def test_the_documented_rules_give_the_id(tmp_path: Path, files: dict[str, Any]) -> None:
    folder = write_model(tmp_path, **files)
    assert documented_id(folder) == describe(folder, Overrides()).vector_space


def test_the_documented_rules_give_the_id_of_a_real_model() -> None:
    assert documented_id(minilm_folder()) == "vs1-1c8f93d0ee5ae2ff63aa"


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(data=some.data(), changes=some.lists(some.sampled_from((*INERT, *LIVE)), unique=True, max_size=3))
def test_the_documented_rules_give_the_id_whatever_is_changed(data: some.DataObject, changes: list[Any]) -> None:
    with written(changed(model(), data, *changes)) as folder:
        assert documented_id(folder) == describe(folder, Overrides()).vector_space
