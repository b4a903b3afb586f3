"""Which models TensorRT-LLM computes exactly: by what their files say, and in the fetch step's answer."""

import asyncio
import io

import pytest

from embedplane_server.fetch import fetch
from embedplane_server.model.chain import read_chain
from embedplane_server.model.tensorrt_llm import exactness
from embedplane_server.progress import Progress
from embedplane_server.settings import EngineSettings, FetchSettings, Gpu, Source
from tests.unit.embedplane_server.model_folder import write_model

BERT = {
    "model_type": "bert",
    "architectures": ["BertModel"],
    "hidden_size": 8,
    "intermediate_size": 32,
    "hidden_act": "gelu",
    "position_embedding_type": "absolute",
    "max_position_embeddings": 64,
}


def verdict(folder, **config):
    return exactness(read_chain(write_model(folder, config_json=BERT | config)))


@pytest.mark.parametrize("kind", ["bert", "roberta", "xlm-roberta"])
def test_the_three_encoders_of_the_usual_shape_are_exact(tmp_path, kind):
    found = verdict(tmp_path, model_type=kind)

    assert found.is_exact
    assert found.reason == f"{kind}, absolute positions, feed-forward 4 x hidden size, gelu"


def test_what_config_json_leaves_out_is_what_transformers_assumes(tmp_path):
    plain = {"model_type": "bert", "architectures": ["BertModel"], "hidden_size": 768}

    assert exactness(read_chain(write_model(tmp_path, config_json=plain))).is_exact
    assert not exactness(read_chain(write_model(tmp_path, config_json=plain | {"hidden_size": 384}))).is_exact


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"model_type": "modernbert"}, "model_type modernbert is none of bert, roberta, xlm-roberta"),
        ({"model_type": "mpnet"}, "model_type mpnet is none"),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type is relative_key, not absolute"),
        ({"intermediate_size": 24}, "intermediate_size 24 is not 4 x hidden_size 8"),
        ({"hidden_act": "gelu_new"}, "hidden_act is gelu_new, not gelu"),
        ({"hidden_act": "relu"}, "hidden_act is relu, not gelu"),
        ({"is_decoder": True}, "it is configured as a decoder"),
    ],
)
def test_everything_else_is_not_and_says_what_differs(tmp_path, config, words):
    found = verdict(tmp_path, **config)

    assert not found.is_exact
    assert words in found.reason


def test_a_reranker_is_left_to_plain_tensorrt(tmp_path):
    config = BERT | {"architectures": ["BertForSequenceClassification"], "id2label": {"0": "LABEL_0"}}
    found = exactness(read_chain(write_model(tmp_path, config_json=config, modules_json=None)))

    assert (found.is_exact, found.reason) == (False, "the model classifies")


@pytest.mark.parametrize(
    ("activation", "is_exact"),
    [
        ("torch.nn.modules.activation.Tanh", True),
        ("torch.nn.modules.linear.Identity", True),
        (None, True),
        ("torch.nn.modules.activation.GELU", False),
    ],
)
def test_dense_layers_after_the_pooling_are_computed_where_their_activation_is_known(tmp_path, activation, is_exact):
    kinds = ("Transformer", "Pooling", "Dense")
    modules = [
        {
            "idx": row,
            "name": str(row),
            "path": f"{row}_{kind}" if row else "",
            "type": f"sentence_transformers.models.{kind}",
        }
        for row, kind in enumerate(kinds)
    ]
    dense = {"in_features": 8, "out_features": 4, "activation_function": activation}
    write_model(tmp_path, config_json=BERT, modules_json=modules, **{"2_Dense/config.json": dense})
    found = exactness(read_chain(tmp_path))

    assert found.is_exact == is_exact
    assert is_exact or found.reason == "a dense layer's activation is GELU, none of Identity, Tanh"


def test_a_fetch_for_a_gpu_tells_it_and_one_for_a_cpu_does_not(tmp_path):
    folder = write_model(tmp_path / "model", config_json=BERT)
    l4 = EngineSettings(backend="tensorrt", gpu=Gpu(name="NVIDIA L4", compute_capability="8.9"))

    def told(engine):
        settings = FetchSettings(store=f"file://{tmp_path}/store", source=Source(path=folder), engine=engine)
        return asyncio.run(fetch(settings, Progress(io.StringIO()))).as_document().get("tensorrtLlm")

    assert told(l4) == {"isExact": True, "reason": "bert, absolute positions, feed-forward 4 x hidden size, gelu"}
    assert told(EngineSettings(backend="openvino")) is None
