"""What a folder says about its labels and scores, and the identity that follows from it."""

import pytest

from embedplane_server.errors import PermanentError
from embedplane_server.model import describe
from embedplane_server.settings import Overrides
from tests.unit.embedplane_server.model_folder import write_model

CONFIG = {
    "model_type": "bert",
    "architectures": ["BertForSequenceClassification"],
    "hidden_size": 8,
    "max_position_embeddings": 64,
}
RERANKER = {**CONFIG, "id2label": {"0": "LABEL_0"}}
CLASSIFIER = {**CONFIG, "id2label": {"1": "yes", "0": "no"}}
SIGMOID, IDENTITY = "torch.nn.modules.activation.Sigmoid", "torch.nn.modules.linear.Identity"
ALONE = [{"idx": 0, "path": "", "type": "sentence_transformers.base.modules.transformer.Transformer"}]


def write_classifier(folder, config=RERANKER, **files):
    """Write a model as transformers saves it; keywords add files of sentence-transformers."""
    plain = {
        "modules_json": None,
        "sentence_bert_config_json": None,
        "config_sentence_transformers_json": None,
        "1_Pooling_config_json": None,
    }
    return write_model(folder, config_json=config, **{**plain, **files})


def test_one_label_is_a_reranker(tmp_path):
    described = describe(write_classifier(tmp_path), Overrides())
    assert (described.kind, described.task, described.dimensions) == ("reranker", "classification", 1)
    assert (described.labels, described.activation) == (("LABEL_0",), "sigmoid")
    assert (described.pooling, described.similarity, described.normalized) == (None, None, False)
    assert (described.architecture, described.max_sequence_length) == ("BertForSequenceClassification", 64)


def test_more_labels_are_a_classifier_and_stand_in_the_order_of_its_logits(tmp_path):
    described = describe(write_classifier(tmp_path, CLASSIFIER), Overrides())
    assert (described.kind, described.labels, described.activation) == ("classifier", ("no", "yes"), "softmax")


def test_a_cross_encoder_saved_by_sentence_transformers_6_is_the_same_model(tmp_path):
    plain = describe(write_classifier(tmp_path / "plain"), Overrides())
    saved = write_classifier(
        tmp_path / "saved",
        modules_json=ALONE,
        sentence_bert_config_json={
            "transformer_task": "sequence-classification",
            "modality_config": {"text": {"method": "forward", "method_output_name": "logits"}},
            "module_output_name": "scores",
        },
        config_sentence_transformers_json={"activation_fn": SIGMOID, "model_type": "CrossEncoder", "prompts": {}},
    )
    assert describe(saved, Overrides()) == plain


@pytest.mark.parametrize(
    ("config", "written", "activation"),
    [
        (RERANKER, {"activation_fn": IDENTITY}, "identity"),
        ({**RERANKER, "sentence_transformers": {"activation_fn": IDENTITY}}, None, "identity"),
        ({**RERANKER, "sbert_ce_default_activation_function": IDENTITY}, None, "identity"),
        ({**RERANKER, "sentence_transformers": {"activation_fn": IDENTITY}}, {"activation_fn": SIGMOID}, "sigmoid"),
        ({**RERANKER, "sbert_ce_default_activation_function": "their_code.Activation"}, None, "sigmoid"),
        (CLASSIFIER, {"activation_fn": IDENTITY}, "softmax"),
        (CLASSIFIER, {"activation_fn": SIGMOID}, "sigmoid"),
        ({**CLASSIFIER, "problem_type": "multi_label_classification"}, None, "sigmoid"),
        ({**CLASSIFIER, "problem_type": "regression"}, None, "identity"),
    ],
)
def test_the_activation_is_the_models_own(tmp_path, config, written, activation):
    folder = write_classifier(tmp_path, config, config_sentence_transformers_json=written)
    assert describe(folder, Overrides()).activation == activation


def test_labels_that_are_not_named_have_the_names_that_transformers_gives(tmp_path):
    assert describe(write_classifier(tmp_path, CONFIG), Overrides()).labels == ("LABEL_0", "LABEL_1")


@pytest.mark.parametrize(
    ("config", "files", "message"),
    [
        ({**CONFIG, "id2label": {"0": "a", "2": "b"}}, {}, "id2label"),
        ({**CONFIG, "id2label": ["a"]}, {}, "id2label"),
        (RERANKER, {"config_sentence_transformers_json": {"activation_fn": "torch.nn.Tanh"}}, r"torch\.nn\.Tanh"),
        (
            RERANKER,
            {"config_sentence_transformers_json": {"prompts": {"q": "find: "}, "default_prompt_name": "q"}},
            "prompt",
        ),
        ({**CONFIG, "architectures": ["BertForTokenClassification"]}, {"modules_json": ALONE}, "are Transformer"),
        (RERANKER, {"sentence_bert_config_json": {"transformer_task": "retrieval"}}, "retrieval"),
    ],
)
def test_what_cannot_be_served_exactly_is_refused(tmp_path, config, files, message):
    with pytest.raises(PermanentError, match=message) as caught:
        describe(write_classifier(tmp_path, config, **files), Overrides())
    assert caught.value.reason == "UnsupportedModel"


@pytest.mark.parametrize("field", [{"pooling": "cls"}, {"normalize": False}, {"prompts": {}}, {"default_prompt": "q"}])
def test_what_decides_vectors_cannot_be_overridden(tmp_path, field):
    with pytest.raises(PermanentError, match=r"embedding\..* maxSequenceLength is the only one") as caught:
        describe(write_classifier(tmp_path), Overrides(**field))
    assert caught.value.reason == "InvalidSettings"


def test_the_window_can_be_overridden(tmp_path):
    assert describe(write_classifier(tmp_path), Overrides(max_sequence_length=16)).max_sequence_length == 16


def test_the_id_changes_with_weights_labels_and_activation(tmp_path):
    folders = [
        write_classifier(tmp_path / "1"),
        write_classifier(tmp_path / "2", {**CONFIG, "id2label": {"0": "relevant"}}),
        write_classifier(tmp_path / "3", {**RERANKER, "sbert_ce_default_activation_function": IDENTITY}),
        write_classifier(tmp_path / "4", model_safetensors=b"other weights"),
    ]
    ids = {describe(folder, Overrides()).vector_space for folder in folders}
    assert len(ids) == len(folders)
    assert all(each.startswith("vs1-") for each in ids)


def test_where_the_activation_stands_changes_no_id(tmp_path):
    old = {**RERANKER, "sentence_transformers": {"activation_fn": SIGMOID, "version": "4.1.0"}}
    first = describe(write_classifier(tmp_path / "1", old), Overrides()).vector_space
    assert first == describe(write_classifier(tmp_path / "2"), Overrides()).vector_space
