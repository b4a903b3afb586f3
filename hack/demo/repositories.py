"""Folders as repositories of a hub: commits that follow from the content, files with git's and LFS' digests.

Knows nothing of HTTP; hub_mirror.py serves what stands here.
"""

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

# What the real hub keeps in Git LFS, and describes with a sha256.
LFS_SUFFIXES = frozenset({".bin", ".onnx", ".safetensors"})
LFS_POINTER_BYTES = 134
DEFAULT_BRANCH = "main"


@dataclass(frozen=True)
class HostedFile:
    """A file of a commit."""

    name: str
    path: Path

    @property
    def size(self) -> int:
        return self.path.stat().st_size

    @property
    def is_large(self) -> bool:
        return self.path.suffix in LFS_SUFFIXES

    @cached_property
    def sha256(self) -> str:
        with self.path.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()

    @cached_property
    def blob_id(self) -> str:
        """Git's own id of the content; of the pointer file when the content is in LFS."""
        content = self._pointer() if self.is_large else self.path.read_bytes()
        return hashlib.sha1(b"blob %d\0%s" % (len(content), content), usedforsecurity=False).hexdigest()

    @property
    def etag(self) -> str:
        return self.sha256 if self.is_large else self.blob_id

    def _pointer(self) -> bytes:
        return f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.sha256}\nsize {self.size}\n".encode()


@dataclass(frozen=True)
class Commit:
    """A folder as it is served under a commit id."""

    files: dict[str, HostedFile]

    @classmethod
    def of_folder(cls, folder: Path) -> "Commit":
        if not folder.is_dir():
            raise FileNotFoundError(f"{folder} is not a folder")
        found = [path for path in sorted(folder.rglob("*")) if path.is_file() and "__pycache__" not in path.parts]
        names = [path.relative_to(folder).as_posix() for path in found]
        return cls({name: HostedFile(name, path) for name, path in zip(names, found, strict=True)})

    @cached_property
    def id(self) -> str:
        """Forty hexadecimal digits that follow from names and contents: the same on every machine."""
        listing = "".join(f"{name} {file.etag}\n" for name, file in sorted(self.files.items()))
        return hashlib.sha1(listing.encode(), usedforsecurity=False).hexdigest()


@dataclass
class Repository:
    """Branches and tags of one repository, and who may read it."""

    branches: dict[str, Commit] = field(default_factory=dict)
    token: str | None = None
    is_private: bool = False
    """A private repository hides that it exists; a gated one (a token, not private) shows its files' names."""

    def commit(self, revision: str) -> Commit | None:
        """Return the commit that a branch, a tag, a commit id or the beginning of one names."""
        if revision in self.branches:
            return self.branches[revision]
        is_id = len(revision) >= 7 and set(revision) <= set("0123456789abcdef")
        matching = [commit for commit in self.branches.values() if is_id and commit.id.startswith(revision)]
        return matching[0] if matching else None


@dataclass
class Repositories:
    """Everything that one mirror serves, by `owner/name`."""

    by_name: dict[str, Repository] = field(default_factory=dict)

    def add(self, reference: str, folder: Path) -> None:
        """Serve a folder as `owner/name` or `owner/name@branch`; a branch that moves leaves its old commit in reach."""
        name, _, branch = reference.partition("@")
        branches = self._repository(name).branches
        if before := branches.get(branch or DEFAULT_BRANCH):
            branches[before.id] = before
        branches[branch or DEFAULT_BRANCH] = Commit.of_folder(folder.resolve())

    def protect(self, name: str, token: str, *, is_private: bool) -> None:
        """Let only this token read a repository."""
        repository = self._repository(name)
        repository.token, repository.is_private = token, is_private

    def knows_token(self, token: str) -> bool:
        return any(repository.token == token for repository in self.by_name.values())

    def _repository(self, name: str) -> Repository:
        if name.count("/") != 1:
            raise ValueError(f"{name!r} is not owner/name")
        return self.by_name.setdefault(name, Repository())
