"""The Hugging Face hub and its mirrors: a revision becomes a commit, a commit's files come down checked.

Routes: `GET /api/models/<repo>/revision/<revision>?blobs=true` and, with ranges, `GET /<repo>/resolve/<commit>/<file>`.
Every failure becomes a reason that a user can act on. What to take from a repository is decided in `fetch.py`.
"""

import errno
import hashlib
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from huggingface_hub import HfApi, hf_hub_url
from huggingface_hub.errors import (
    DisabledRepoError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.file_download import http_get
from huggingface_hub.hf_api import RepoSibling
from huggingface_hub.utils import (  # type: ignore[attr-defined]  # documented, but not re-exported for type checkers
    build_hf_headers,
    disable_progress_bars,
)

from embedplane_server.errors import (
    PermanentError,
    PermanentReason,
    StepError,
    TransientError,
    TransientReason,
    invalid_settings,
)

_TIMEOUT_SECONDS = 30


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file of a commit: Git LFS files carry a sha256, all others git's own blob id."""

    name: str
    size: int
    sha256: str | None
    blob_id: str | None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A commit and its files by name."""

    commit: str
    files: dict[str, HubFile]


class Hub:
    """One repository of a hub, seen with a token or without."""

    def __init__(self, repo: str, endpoint: str | None, token: str | None) -> None:
        disable_progress_bars()
        self.repo = repo
        # False, not None: None would look for a token on this machine.
        self._token: str | bool = token if token is not None else False
        self._api = HfApi(endpoint=endpoint.rstrip("/") if endpoint else None, token=self._token)

    @property
    def endpoint(self) -> str:
        return str(self._api.endpoint)

    def resolve(self, revision: str) -> Snapshot:
        """Return the commit that a revision names now, with its files."""
        try:
            info = self._api.model_info(self.repo, revision=revision, files_metadata=True, timeout=_TIMEOUT_SECONDS)
        except Exception as error:  # the hub's client lets its HTTP library's and JSON errors through
            raise self._translated(error, revision) from error
        if info.sha is None:
            raise self._unavailable("it named no commit")
        return Snapshot(info.sha, {file.rfilename: _hub_file(file) for file in info.siblings or ()})

    def download(self, commit: str, file: HubFile, target: Path) -> None:
        """Bring a file down to `target`, going on where an earlier attempt stopped, and check its digest."""
        target.parent.mkdir(parents=True, exist_ok=True)
        if not (target.is_file() and target.stat().st_size == file.size):
            self._transfer(commit, file, target)
        if problem := _wrong(file, target):
            target.unlink()
            raise TransientError(
                TransientReason.DIGEST_MISMATCH,
                f"{file.name} of {self.repo} at {commit[:12]} came damaged from {self.endpoint}: {problem}. "
                "It is fetched again.",
            )

    def _transfer(self, commit: str, file: HubFile, target: Path) -> None:
        partial = target.with_name(target.name + ".partial")
        url = hf_hub_url(self.repo, file.name, revision=commit, endpoint=self.endpoint)
        try:
            with partial.open("ab") as output:
                done = output.tell()
                if done > file.size:
                    output.truncate(0)
                    done = 0
                headers = build_hf_headers(token=self._token)
                http_get(url, output, resume_size=done, headers=headers, expected_size=file.size)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise TransientError(
                    TransientReason.STORE_UNAVAILABLE,
                    f"no room for {file.name} ({file.size} bytes): enlarge the store.",
                ) from error
            raise self._translated(error, commit) from error
        except Exception as error:  # the hub's client lets its HTTP library's errors through
            raise self._translated(error, commit) from error
        partial.replace(target)

    def _translated(self, error: Exception, revision: str) -> StepError:
        where = f"{self.repo} at {self.endpoint}"
        match error:
            case StepError():
                return error
            case HFValidationError():
                return invalid_settings(f"source.huggingFace.repo: {self.repo!r} is not a repository id: {error}")
            case GatedRepoError() | DisabledRepoError():
                return _denied(f"access to {where} is restricted. Accept its terms with the token's account")
            case RevisionNotFoundError():
                return PermanentError(
                    PermanentReason.REVISION_NOT_FOUND,
                    f"the revision {revision!r} does not exist in {where}. Name a branch, tag or commit that does.",
                )
            case HfHubHTTPError():
                return self._translated_status(error, where)
            case _:
                return self._unavailable(_first_line(error))

    def _translated_status(self, error: HfHubHTTPError, where: str) -> StepError:
        status = error.response.status_code
        if status == HTTPStatus.UNAUTHORIZED and self._token:
            return _denied(f"{where} does not accept the token")
        if status == HTTPStatus.NOT_FOUND or isinstance(error, RepositoryNotFoundError):
            rights = "give the token rights to it" if self._token else "set source.huggingFace.tokenSecretRef"
            return PermanentError(
                PermanentReason.REPOSITORY_NOT_FOUND,
                f"the repository {where} does not exist or is private. Correct source.huggingFace.repo, or {rights}.",
            )
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            return _denied(f"{where} answers {status}")
        return self._unavailable(f"it answered {status}")

    def _unavailable(self, cause: str) -> TransientError:
        return TransientError(
            TransientReason.HUB_UNAVAILABLE,
            f"the hub {self.endpoint} cannot be used for {self.repo}: {cause}. It is tried again; check the endpoint, "
            "DNS, proxy and network policies if this stays.",
        )


def _denied(problem: str) -> PermanentError:
    return PermanentError(
        PermanentReason.ACCESS_DENIED,
        f"{problem}; put a valid token with read access into the Secret of source.huggingFace.tokenSecretRef.",
    )


def _hub_file(file: RepoSibling) -> HubFile:
    return HubFile(file.rfilename, file.size or 0, file.lfs.sha256 if file.lfs else None, file.blob_id)


def _wrong(file: HubFile, path: Path) -> str | None:
    size = path.stat().st_size
    if size != file.size:
        return f"{size} bytes instead of {file.size}"
    if file.sha256 is None and file.blob_id is None:
        return "the hub names no digest for it"
    digest = hashlib.sha256() if file.sha256 else hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    with path.open("rb") as content:
        while block := content.read(1 << 20):
            digest.update(block)
    expected = file.sha256 or file.blob_id
    return None if digest.hexdigest() == expected else f"digest {digest.hexdigest()} instead of {expected}"


def _first_line(error: Exception) -> str:
    text = str(error).strip().split("\n", 1)[0]
    return text or type(error).__name__
