"""The tree itself: what would break imports or hide a package."""

import operator as standard_library_operator
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_operator_folder_is_a_project_and_never_a_package():
    assert not (ROOT / "operator" / "__init__.py").exists()
    assert not (ROOT / "server" / "__init__.py").exists()
    assert ROOT not in Path(standard_library_operator.__file__).parents


def test_every_folder_of_tests_is_a_package():
    folders = {path.parent for path in (ROOT / "tests").rglob("*.py")}

    assert [folder for folder in sorted(folders) if not (folder / "__init__.py").exists()] == []


def test_the_top_level_holds_what_the_design_names_and_nothing_else():
    expected = {
        "pyproject.toml", "uv.lock", "README.md", "Makefile", "CHANGELOG.md", "LICENSE",
        "operator", "server", "crds", "charts", "tests", "hack", "docs", "examples",
    }  # fmt: skip

    found = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")}

    assert found - {"dist", "build"} == expected
