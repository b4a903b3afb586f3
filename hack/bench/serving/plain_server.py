"""sentence-transformers in fp32 behind a minimal FastAPI: what one writes in an afternoon, and the reference vectors.

`plain_server.py FOLDER PORT`; one request at a time uses all cores, and a request's texts are one call of `encode`.
"""

import base64
import sys
import threading

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from sentence_transformers import SentenceTransformer


class Request(BaseModel):
    """OpenAI's form; vectors are always base64."""

    input: list[str]


def main() -> None:
    """Serve until killed."""
    folder, port = sys.argv[1], int(sys.argv[2])
    model = SentenceTransformer(folder, device="cpu")
    model.encode(["warm"])
    one_at_a_time = threading.Lock()
    app = FastAPI()

    @app.post("/v1/embeddings")
    def embeddings(request: Request) -> dict[str, object]:
        with one_at_a_time:
            vectors = model.encode(request.input, normalize_embeddings=True, show_progress_bar=False)
        data = [
            {"object": "embedding", "index": index, "embedding": base64.b64encode(vector.tobytes()).decode()}
            for index, vector in enumerate(vectors)
        ]
        tokens = sum(map(len, model.tokenizer(request.input)["input_ids"]))
        return {"object": "list", "data": data, "usage": {"prompt_tokens": tokens, "total_tokens": tokens}}

    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    main()
