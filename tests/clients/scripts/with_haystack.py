"""Haystack's embedder of documents over OpenAI's interface."""

from haystack import Document
from haystack.components.embedders import OpenAIDocumentEmbedder
from haystack.utils import Secret
from telling import KEY, tell, vectors


def embed(url, model, texts):
    embedder = OpenAIDocumentEmbedder(api_key=Secret.from_token(KEY), model=model, api_base_url=f"{url}/v1")
    found = embedder.run([Document(content=text) for text in texts])
    embeddings = [document.embedding for document in found["documents"] if document.embedding is not None]
    return vectors(embeddings, tokens=found["meta"].get("usage", {}).get("prompt_tokens"))


tell(embed)
