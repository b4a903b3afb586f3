"""Ollama's client."""

import ollama
from telling import tell, vectors


def embed(url, model, texts):
    client = ollama.Client(host=url)
    answer = client.embed(model, texts)
    listed = [each.model for each in client.list().models]
    return vectors(answer.embeddings, tokens=answer.prompt_eval_count, listed=listed)


tell(embed)
