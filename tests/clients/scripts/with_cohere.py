"""Cohere's client of their second interface."""

import cohere
from telling import KEY, tell, vectors


def embed(url, model, texts):
    client = cohere.ClientV2(api_key=KEY, base_url=url)
    answer = client.embed(model=model, texts=texts, input_type="search_document", embedding_types=["float", "ubinary"])
    tokens = int(answer.meta.billed_units.input_tokens)
    return vectors(answer.embeddings.float_, binary=answer.embeddings.ubinary, tokens=tokens)


tell(embed)
