"""LlamaIndex' embeddings for text-embeddings-inference."""

from llama_index.embeddings.text_embeddings_inference import TextEmbeddingsInference
from telling import tell, vectors


def embed(url, model, texts):
    return vectors(TextEmbeddingsInference(model_name=model, base_url=url).get_text_embedding_batch(texts))


tell(embed)
