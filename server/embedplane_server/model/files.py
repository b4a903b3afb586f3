"""Which files of a repository or folder make up a model: JSON and safetensors, nothing else.

Pickles are never chosen. `fetch.py` takes exactly these files; what they say is read in `chain.py`.
"""

import re
from collections.abc import Collection, Iterable
from pathlib import PurePosixPath

from embedplane_server.errors import PermanentError, PermanentReason, unsupported_model
from embedplane_server.model.chain import TRANSFORMER_SETTINGS
from embedplane_server.model.places import KINDS

ROOT_FILES = ("modules.json", "config_sentence_transformers.json", "config.json")
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")

_WEIGHTS = re.compile(r"model(-\d+-of-\d+)?\.safetensors")
_WEIGHTS_INDEX = "model.safetensors.index.json"
_OTHER_WEIGHTS = (".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack", ".pkl")


def configuration_files(names: Collection[str], places: Iterable[tuple[str, str]] = ()) -> list[str]:
    """Return the small files: those of the root and, once the modules are known, those of each module's folder."""
    wanted = set(ROOT_FILES)
    for kind, path in places:
        wanted.add(_inside(path, "config.json"))
        if kind == "Transformer":
            wanted.update(_inside(path, name) for name in (*TOKENIZER_FILES, *TRANSFORMER_SETTINGS))
    return sorted(wanted.intersection(names))


def weight_files(names: Collection[str], places: Iterable[tuple[str, str]]) -> list[str]:
    """Return the safetensors files of every module that has weights; a module without them is an error."""
    chosen: list[str] = []
    for kind, path in places:
        if kind == "Transformer" and _inside(path, "tokenizer.json") not in names:
            raise unsupported_model(
                f"{_inside(path, 'tokenizer.json')} is missing. Save the model's tokenizer as a fast tokenizer "
                "(transformers: tokenizer.save_pretrained) and add the file."
            )
        if KINDS[kind]:
            chosen += _module_weights(names, path)
    return sorted(chosen)


def _module_weights(names: Collection[str], path: str) -> list[str]:
    here = [name for name in names if _folder(name) == path]
    weights = [name for name in here if _WEIGHTS.fullmatch(PurePosixPath(name).name)]
    if len(weights) > 1 and _inside(path, "model.safetensors") in weights:
        weights = [_inside(path, "model.safetensors")]
    if weights:
        return weights + [name for name in here if PurePosixPath(name).name == _WEIGHTS_INDEX and len(weights) > 1]
    pickles = sorted(name for name in here if name.endswith(_OTHER_WEIGHTS))
    found = f"its weights are only in {pickles[0]}" if pickles else "no weights were found"
    raise PermanentError(
        PermanentReason.NO_SAFETENSORS,
        f"{_inside(path, 'model.safetensors')} is missing; {found}, and pickles are never loaded. "
        "Use a revision that has safetensors, or convert the model (save_pretrained writes safetensors).",
    )


def _folder(name: str) -> str:
    parent = str(PurePosixPath(name).parent)
    return "" if parent == "." else parent


def _inside(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name
