"""openai's client as its README has it."""

from openai import OpenAI
from telling import KEY, NAME, tell, vectors


def embed(url, texts):
    with OpenAI(base_url=f"{url}/v1", api_key=KEY) as client:
        answer = client.embeddings.create(model=NAME, input=texts)
    return vectors([entry.embedding for entry in answer.data], tokens=answer.usage.prompt_tokens)


tell(embed)
