"""LangChain's OpenAIEmbeddings; further arguments are its settings, as JSON."""

import json
import sys

from langchain_openai import OpenAIEmbeddings
from telling import KEY, tell, vectors


def embed(url, model, texts):
    settings = json.loads(sys.argv[2]) if len(sys.argv) > 2 else {}
    embeddings = OpenAIEmbeddings(model=model, base_url=f"{url}/v1", api_key=KEY, **settings)
    return vectors(embeddings.embed_documents(texts))


tell(embed)
