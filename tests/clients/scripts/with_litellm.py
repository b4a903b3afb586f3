"""litellm, with the server as another OpenAI."""

import litellm
from telling import KEY, NAME, tell, vectors


def embed(url, texts):
    answer = litellm.embedding(model=f"openai/{NAME}", input=texts, api_base=f"{url}/v1", api_key=KEY)
    return vectors([entry["embedding"] for entry in answer.data], tokens=answer.usage.prompt_tokens)


tell(embed)
