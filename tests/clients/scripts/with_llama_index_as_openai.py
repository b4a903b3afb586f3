"""LlamaIndex' embeddings for servers that are like OpenAI's."""

from llama_index.embeddings.openai_like import OpenAILikeEmbedding
from telling import KEY, tell, vectors


def embed(url, model, texts):
    embeddings = OpenAILikeEmbedding(model_name=model, api_base=f"{url}/v1", api_key=KEY)
    return vectors(embeddings.get_text_embedding_batch(texts))


tell(embed)
