"""YAML that stands on pages of the documentation: people copy it, so it is held to what is true."""

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(page: str) -> list[str]:
    """Return the YAML blocks of a page, for example `docs/gpu.md`."""
    return _BLOCK.findall((ROOT / page).read_text(encoding="utf-8"))


def values_files(page: str) -> dict[str, dict[str, Any]]:
    """Return the Helm values of a page: blocks whose first line is a comment with the name of a values file."""
    found = {re.match(r"# (values-[a-z]+\.yaml)\n", block): block for block in blocks(page)}
    return {match[1]: yaml.safe_load(block) for match, block in found.items() if match}


def embedding_models(page: str) -> list[dict[str, Any]]:
    """Return the EmbeddingModels of a page that are whole."""
    documents = [
        each for block in blocks(page) if "kind: EmbeddingModel" in block for each in yaml.safe_load_all(block)
    ]
    return [each for each in documents if each.get("kind") == "EmbeddingModel" and "spec" in each]
