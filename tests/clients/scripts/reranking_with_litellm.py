"""litellm, with the server as one of the providers that it knows for reranking; the first text is the query."""

import json
import sys

import litellm
from telling import KEY, tell

PROVIDER = json.loads(sys.argv[2])["provider"]


def rerank(url, model, texts):
    answer = litellm.rerank(
        model=f"{PROVIDER}/{model}", query=texts[0], documents=texts[1:], top_n=5, api_base=url, api_key=KEY
    )
    return {"order": [result["index"] for result in answer.results]}


tell(rerank)
