"""What an image takes from uv.lock: the packages below its extras, and nothing else.

So a new development tool, or a new dependency of one image, rebuilds no other image.
"""

import tomllib
from collections.abc import Iterable, Iterator
from typing import Any

Package = dict[str, Any]
PROJECT = "embedplane"


def locked_packages(lock_file: str, extras: Iterable[str]) -> list[str]:
    """Return one line for each package that the project needs with these extras: name, version, digests."""
    packages: list[Package] = tomllib.loads(lock_file)["package"]
    by_name: dict[str, list[Package]] = {}
    for package in packages:
        by_name.setdefault(package["name"], []).append(package)
    found: dict[tuple[str, str], Package] = {}
    open_edges = list(_edges(by_name[PROJECT][0], extras))
    seen_edges: set[tuple[str, str, tuple[str, ...]]] = set()
    while open_edges:
        edge = open_edges.pop()
        asked = tuple(edge.get("extra", ()))
        mark = (edge["name"], edge.get("version", ""), asked)
        if mark in seen_edges:
            continue
        seen_edges.add(mark)
        for package in by_name[edge["name"]]:
            if edge.get("version", package["version"]) == package["version"]:
                found[package["name"], package["version"]] = package
                open_edges += _edges(package, asked)
    return sorted(_line(package) for package in found.values())


def _edges(package: Package, extras: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Yield what a package depends on, whatever the platform: a marker too many costs nothing here."""
    yield from package.get("dependencies", ())
    for extra in extras:
        yield from package.get("optional-dependencies", {}).get(extra, ())


def _line(package: Package) -> str:
    files = [*package.get("wheels", ()), *([package["sdist"]] if "sdist" in package else [])]
    digests = ",".join(sorted(file.get("hash", "") for file in files))
    return f"{package['name']} {package['version']} {digests}"
