"""The pages of the documentation: links lead to what exists, and the README's map names every page."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "hack").rglob("*.md"))]
SOURCES = [
    path
    for folder in ("operator", "server", "charts", "examples", "hack", "tests")
    for path in sorted((ROOT / folder).rglob("*"))
    if path.suffix in {".py", ".yaml", ".sh"}
]
_BLOCK = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
_MENTION = re.compile(r"\bdocs/[\w-]+\.md\b")


def prose(page: Path) -> str:
    return _BLOCK.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """Return what GitHub makes of a page's headings."""
    words = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in _HEADING.findall(prose(page)))
    return {each.replace(" ", "-") for each in words}


def is_broken(page: Path, link: str) -> bool:
    place, _, anchor = link.partition("#")
    target = page.parent / place if place else page
    return not target.exists() or (anchor != "" and anchor not in anchors(target))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_link_leads_to_a_file_and_a_heading_that_exist(page: Path) -> None:
    links = [link for link in _LINK.findall(prose(page)) if "://" not in link]

    assert [link for link in links if is_broken(page, link)] == []


def test_the_readme_s_map_names_every_page() -> None:
    named = {link.partition("#")[0] for link in _LINK.findall(prose(ROOT / "README.md"))}

    assert {str(page.relative_to(ROOT)) for page in (ROOT / "docs").glob("*.md")} - named == set()


def test_pages_that_code_names_exist() -> None:
    named = {(path, page) for path in SOURCES for page in _MENTION.findall(path.read_text(encoding="utf-8"))}

    assert [f"{path.relative_to(ROOT)}: {page}" for path, page in sorted(named) if not (ROOT / page).exists()] == []
    assert len(named) > 10
