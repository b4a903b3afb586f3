"""Run by the exporter image's Python: sentence-transformers' own vectors, in float32 on the CPU.

Arguments: the store's URL, the model's digest, its window, a file with a JSON list of texts.
Prints RESULT {"vectors": [...], "version": ...}.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from embedplane_server.sources import need_model
from embedplane_server.store import open_store


def main(store: str, digest: str, window: str, texts: str) -> dict[str, Any]:
    """Embed the texts by the model as its folder is, nothing of Embedplane in between."""
    import sentence_transformers  # noqa: PLC0415 -- seconds, after what can fail sooner

    folder = asyncio.run(need_model(open_store(store), digest)).directory
    model = sentence_transformers.SentenceTransformer(str(folder), device="cpu")
    model.max_seq_length = int(window)
    content: list[str] = json.loads(Path(texts).read_text(encoding="utf-8"))
    # One at a time: nothing is padded, so nothing depends on what stands beside it.
    rows = [model.float().encode([text])[0].tolist() for text in content]
    return {"vectors": rows, "version": sentence_transformers.__version__}


if __name__ == "__main__":
    print("RESULT", json.dumps(main(*sys.argv[1:])))
