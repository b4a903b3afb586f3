"""Pieces of the page's HTML: how terms, names and numbers are written."""

from collections.abc import Iterable, Mapping
from html import escape


def rows(facts: Mapping[str, str]) -> str:
    """Return the inside of a list of terms, each with what is said of it; both are HTML."""
    return "".join(f"<div><dt>{term}</dt><dd>{html}</dd></div>" for term, html in facts.items())


def codes(texts: Iterable[str]) -> str:
    """Return texts that people may copy."""
    return ", ".join(f"<code>{escape(text)}</code>" for text in texts)


def small(number: object, words: str) -> str:
    """Return a number with what it counts."""
    return f"{number} <small>{words}</small>"


def grouped(value: int) -> str:
    """Return a whole number as people read it."""
    return f"{value:,}"


def rounded_down(cosine: float) -> str:
    """Return a cosine that does not look better than it is."""
    return f"{int(cosine * 100_000) / 100_000:.5f}"
