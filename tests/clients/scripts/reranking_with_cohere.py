"""Cohere's clients of both interfaces; the first text is the query."""

import json
import sys

import cohere
from telling import KEY, tell

KIND = json.loads(sys.argv[2])["kind"]


def rerank(url, model, texts):
    client = getattr(cohere, KIND)(api_key=KEY, base_url=url)
    answer = client.rerank(model=model, query=texts[0], documents=texts[1:], top_n=5)
    return {"order": [result.index for result in answer.results]}


tell(rerank)
