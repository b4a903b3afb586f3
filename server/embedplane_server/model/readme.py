"""Which usual prompts a model's README tells its users to put before texts.

Only phrases that families of models share are known; a README is prose, and nothing in it decides a vector.
"""

import re
from pathlib import Path

NAME = "README.md"
MOST_BYTES = 1 << 20
"""A longer README is not looked at."""

_QUOTED = ("query: ", "passage: ", "search_query: ", "search_document: ", "Instruct: ")
"""Short prompts count where a quotation mark stands before them, as in code."""
_ANYWHERE = (
    "Represent this sentence for searching relevant passages:",
    "Represent this query for retrieving relevant documents:",
    "为这个句子生成表示以用于检索相关文章：",  # noqa: RUF001 -- as the models have it
    "task: search result | query: ",
    "title: none | text: ",
)


def read_mentions(path: Path) -> tuple[str, ...]:
    """Return the usual prompts that a README names; one that is not there, or is no text, names none."""
    if not path.is_file() or path.stat().st_size > MOST_BYTES:
        return ()
    return mentioned_prompts(path.read_text(encoding="utf-8", errors="replace"))


def mentioned_prompts(readme: str) -> tuple[str, ...]:
    """Return the usual prompts that a README's text names."""
    quoted = (text for text in _QUOTED if re.search(rf"[\"'`]{re.escape(text)}", readme))
    return (*quoted, *(text for text in _ANYWHERE if text in readme))
