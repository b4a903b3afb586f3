"""openai's asynchronous client, one request a text, all at once."""

import asyncio

from openai import AsyncOpenAI
from telling import KEY, tell, vectors


async def embed_all(url, model, texts):
    async with AsyncOpenAI(base_url=f"{url}/v1", api_key=KEY) as client:
        answers = await asyncio.gather(*(client.embeddings.create(model=model, input=text) for text in texts))
    embeddings = [answer.data[0].embedding for answer in answers]
    return vectors(embeddings, tokens=sum(answer.usage.prompt_tokens for answer in answers))


tell(lambda url, model, texts: asyncio.run(embed_all(url, model, texts)))
