"""A folder in object storage as a source: what lies there becomes a pin, pinned objects come down unchanged.

The pin covers names, sizes and entity tags of the JSON and safetensors files below the prefix, so one listing tells
whether anything moved; nothing else is looked at, and nothing else comes down. What a model needs of them is decided in
`fetch.py`.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import obstore
from obstore.exceptions import BaseError, PreconditionError

from embedplane_server.errors import (
    PermanentError,
    PermanentReason,
    StepError,
    TransientError,
    TransientReason,
    invalid_settings,
)
from embedplane_server.settings import ObjectStorageSource
from embedplane_server.store.answers import Meaning, is_absent, meaning_of, told
from embedplane_server.store.remote import CREDENTIALS, CredentialsError, Place, connect, read_place

FIELD = "source.objectStorage"
SUFFIXES = (".json", ".safetensors")
LARGEST_LISTING = 10_000

_IDENTITIES = {
    "s3": (
        "AWS_ACCESS_KEY_ID",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
    ),
    "az": ("AZURE_FEDERATED_TOKEN_FILE",),
}
"""Variables that clouds give to pods with an identity; Google's has none."""


@dataclass(frozen=True, slots=True)
class BucketFile:
    """An object by its name below the prefix."""

    name: str
    size: int
    tag: str | None
    """Its entity tag: another one after each write."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What lies below the prefix at one time."""

    files: dict[str, BucketFile]

    @property
    def commit(self) -> str:
        """Return what stays the same while no file is added, removed or written."""
        lines = "".join(f"{file.tag} {file.size} {name}\n" for name, file in sorted(self.files.items()))
        return f"etags:{hashlib.sha256(lines.encode()).hexdigest()}"


class Bucket:
    """One folder in object storage, seen with credentials, with the pod's identity, or as anybody sees it."""

    def __init__(self, source: ObjectStorageSource, credentials: Path | None, environment: Mapping[str, str]) -> None:
        place = _place(source, credentials)
        self.url = str(place)
        self._scheme = place.scheme
        self._has_credentials = credentials is not None
        identities = _IDENTITIES.get(place.scheme)
        anonymous = credentials is None and identities is not None and not any(map(environment.get, identities))
        try:
            self._objects = connect(place, anonymous=anonymous)
        except CredentialsError as error:
            raise self._denied(f"the Secret cannot be used: {error}") from error
        except (BaseError, ValueError) as error:
            raise invalid_settings(f"{self.url} cannot be used: {told(error)}. Correct {FIELD}.") from error

    async def list(self) -> Listing:
        """Return what lies below the prefix now."""
        files: dict[str, BucketFile] = {}
        seen = 0
        async with self._translated("list it"):
            async for chunk in obstore.list(self._objects):
                seen += len(chunk)
                for found in chunk:
                    name = str(found["path"])
                    if name.endswith(SUFFIXES):
                        files[name] = BucketFile(name, found["size"], found["e_tag"])
                if seen > LARGEST_LISTING:
                    raise self._not_a_model(f"has more than {LARGEST_LISTING} files below it")
        if "config.json" not in files and "modules.json" not in files:
            found_words = f"holds {min(files)} but no config.json" if files else "holds no JSON or safetensors files"
            raise self._not_a_model(found_words)
        return Listing(files)

    async def download(self, file: BucketFile, target: Path) -> None:
        """Bring an object down as it was listed, unless an earlier try did; one that was written since is an error."""
        if await asyncio.to_thread(_has, target, file.size):
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(target.name + ".partial")
        async with self._translated(f"read {file.name}"):
            try:
                found = await obstore.get_async(self._objects, file.name, options={"if_match": file.tag})
                with partial.open("wb") as output:
                    async for chunk in found.stream(min_chunk_size=1 << 20):
                        output.write(chunk)
            except (PreconditionError, FileNotFoundError) as error:
                if isinstance(error, FileNotFoundError) and not is_absent(error):
                    raise
                raise self._moved(f"{file.name} was written or removed") from error
        if partial.stat().st_size != file.size:
            raise self._moved(f"{file.name} came with {partial.stat().st_size} bytes instead of {file.size}")
        partial.replace(target)

    def moved_since(self, commit: str) -> PermanentError:
        """Return the error for files that are not those that were pinned."""
        return PermanentError(
            PermanentReason.REVISION_NOT_FOUND,
            f"the files at {self.url} are not those that were pinned ({commit[:18]}). Put those back, or take the new "
            "ones: set the annotation embedplane.io/resolve to a new value.",
        )

    @asynccontextmanager
    async def _translated(self, action: str) -> AsyncIterator[None]:
        try:
            yield
        except (BaseError, OSError) as error:
            raise self._meant(action, error) from error

    def _meant(self, action: str, error: Exception) -> StepError:
        match meaning_of(error):
            case Meaning.DENIED:
                return self._denied(f"cannot {action}: {told(error)}")
            case Meaning.NO_BUCKET:
                return PermanentError(
                    PermanentReason.REPOSITORY_NOT_FOUND,
                    f"the bucket of {self.url} does not exist ({told(error)}). Correct {FIELD}.url or "
                    f"{FIELD}.endpoint.",
                )
            case Meaning.ELSEWHERE:
                return invalid_settings(
                    f"{self.url} is in another region ({told(error)}). Set {FIELD}.region to the bucket's."
                )
            case _:
                return TransientError(
                    TransientReason.HUB_UNAVAILABLE,
                    f"{self.url} cannot be used: cannot {action} ({told(error)}). It is tried again; check "
                    f"{FIELD}.endpoint, DNS, proxy and network policies if this stays.",
                )

    def _denied(self, problem: str) -> PermanentError:
        keys = ", ".join(CREDENTIALS[self._scheme])
        remedy = "Correct the Secret" if self._has_credentials else "Name a Secret with credentials"
        return PermanentError(
            PermanentReason.ACCESS_DENIED,
            f"access to {self.url} is denied: {problem}. {remedy} ({FIELD}.credentialsSecretRef; keys {keys}), "
            "and give them the rights to list and read there.",
        )

    def _not_a_model(self, found: str) -> PermanentError:
        return PermanentError(
            PermanentReason.PATH_NOT_FOUND,
            f"{self.url} {found}. Correct {FIELD}.url: it names the folder with the model's config.json.",
        )

    def _moved(self, what: str) -> TransientError:
        return TransientError(
            TransientReason.DIGEST_MISMATCH, f"{what} at {self.url} while it was read. It is fetched again."
        )


def _place(source: ObjectStorageSource, credentials: Path | None) -> Place:
    try:
        named = read_place(source.url)
    except ValueError as error:
        raise invalid_settings(f"{FIELD}.url: {error}") from error
    return Place(named.scheme, named.bucket, named.prefix, source.endpoint, source.region, credentials)


def _has(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size
