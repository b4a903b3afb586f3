"""A small semantic search: texts and questions become vectors through the openai client, the dot product ranks them."""

from pathlib import Path

from hack.cluster.progress import say

TEXTS = Path(__file__).with_name("texts.txt")
QUESTIONS = (
    "I can't log in any more",
    "when do I get my money back?",
    "how do insects communicate?",
    "what happens if a machine in the cluster dies?",
)


def show(address: str, model: str) -> None:
    """Print the best texts for each question."""
    texts = TEXTS.read_text().splitlines()
    from openai import OpenAI  # noqa: PLC0415 -- of .venv; the rest of hack/ runs without it

    with OpenAI(base_url=f"{address}/v1", api_key="unused") as client:
        answer = client.embeddings.create(model=model, input=[*texts, *QUESTIONS])
    vectors = [each.embedding for each in answer.data]
    say(f"  {len(vectors)} vectors of {len(vectors[0])} dimensions, {answer.usage.total_tokens} tokens")
    for question, vector in zip(QUESTIONS, vectors[len(texts) :], strict=True):
        scores = [sum(a * b for a, b in zip(vector, other, strict=True)) for other in vectors[: len(texts)]]
        say(f"\n  {question}")
        for score, text in sorted(zip(scores, texts, strict=True), reverse=True)[:2]:
            say(f"    {score:.2f}  {text}")
