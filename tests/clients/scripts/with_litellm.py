"""litellm, with the server as another OpenAI."""

import litellm
from telling import KEY, tell, vectors


def embed(url, model, texts):
    answer = litellm.embedding(model=f"openai/{model}", input=texts, api_base=f"{url}/v1", api_key=KEY)
    return vectors([entry["embedding"] for entry in answer.data], tokens=answer.usage.prompt_tokens)


tell(embed)
