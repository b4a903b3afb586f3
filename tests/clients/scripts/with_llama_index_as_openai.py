"""LlamaIndex' embeddings for servers that are like OpenAI's."""

from llama_index.embeddings.openai_like import OpenAILikeEmbedding
from telling import KEY, NAME, tell, vectors


def embed(url, texts):
    embeddings = OpenAILikeEmbedding(model_name=NAME, api_base=f"{url}/v1", api_key=KEY)
    return vectors(embeddings.get_text_embedding_batch(texts))


tell(embed)
