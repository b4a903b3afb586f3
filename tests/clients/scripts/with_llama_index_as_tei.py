"""LlamaIndex' embeddings for text-embeddings-inference."""

from llama_index.embeddings.text_embeddings_inference import TextEmbeddingsInference
from telling import NAME, tell, vectors


def embed(url, texts):
    return vectors(TextEmbeddingsInference(model_name=NAME, base_url=url).get_text_embedding_batch(texts))


tell(embed)
