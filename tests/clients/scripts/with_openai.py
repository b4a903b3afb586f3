"""openai's client as its README has it."""

from openai import OpenAI
from telling import KEY, tell, vectors


def embed(url, model, texts):
    with OpenAI(base_url=f"{url}/v1", api_key=KEY) as client:
        answer = client.embeddings.create(model=model, input=texts)
    return vectors([entry.embedding for entry in answer.data], tokens=answer.usage.prompt_tokens)


tell(embed)
