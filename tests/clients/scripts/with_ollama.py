"""Ollama's client."""

import ollama
from telling import NAME, tell, vectors


def embed(url, texts):
    client = ollama.Client(host=url)
    answer = client.embed(NAME, texts)
    listed = [model.model for model in client.list().models]
    return vectors(answer.embeddings, tokens=answer.prompt_eval_count, listed=listed)


tell(embed)
