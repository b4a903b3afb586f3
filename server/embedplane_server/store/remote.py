"""Places in object storage: S3, GCS and Azure, for the store and for sources. It knows places, not what lies there.

Credentials are files of a folder, named as the clouds' own tools name their variables: a mounted Secret. Without a
folder it is the pod's own identity that asks, as the cloud gives it to the pod's ServiceAccount.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from obstore.exceptions import BaseError
from obstore.store import AzureStore, GCSStore, ObjectStore, S3Store

from embedplane_server.store.answers import told

CREDENTIALS: Mapping[str, Mapping[str, str]] = {
    "s3": {
        "AWS_ACCESS_KEY_ID": "access_key_id",
        "AWS_SECRET_ACCESS_KEY": "secret_access_key",
        "AWS_SESSION_TOKEN": "session_token",
    },
    "gs": {"GOOGLE_SERVICE_ACCOUNT_KEY": "service_account_key"},
    "az": {
        "AZURE_STORAGE_ACCOUNT_NAME": "account_name",
        "AZURE_STORAGE_ACCOUNT_KEY": "account_key",
        "AZURE_STORAGE_SAS_TOKEN": "sas_key",
    },
}
"""By scheme of the URL: the files that are read, and what obstore calls their content."""

_NEEDED = {"s3": ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "gs": ("GOOGLE_SERVICE_ACCOUNT_KEY",), "az": ()}
_PARAMETERS = frozenset({"endpoint", "region", "credentials"})

# A stalled transfer ends, a long one does not; who cannot be reached at all is given up after a minute.
_CLIENT = {
    "connect_timeout": timedelta(seconds=10),
    "read_timeout": timedelta(seconds=60),
    "timeout": timedelta(hours=6),
}
_RETRY = {"max_retries": 6, "retry_timeout": timedelta(seconds=60)}


class CredentialsError(ValueError):
    """The files do not hold what the scheme needs; the message says what is wrong with them."""


@dataclass(frozen=True, slots=True)
class Place:
    """A bucket or container, and a prefix inside it."""

    scheme: str
    bucket: str
    prefix: str = ""
    endpoint: str | None = None
    region: str | None = None
    credentials: Path | None = None
    """A folder with files; None: the pod's own identity."""

    def __str__(self) -> str:
        url = f"{self.scheme}://{self.bucket}/{self.prefix}".rstrip("/")
        return f"{url} at {self.endpoint}" if self.endpoint else url


def is_remote(url: str) -> bool:
    """Tell whether a URL names object storage."""
    return urlsplit(url).scheme in CREDENTIALS


def read_place(url: str) -> Place:
    """Return what a URL says: `s3://bucket/prefix?endpoint=…&region=…&credentials=<folder>`. Raises ValueError.

    Only the bucket is needed.
    """
    parts = urlsplit(url)
    given = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    if parts.scheme not in CREDENTIALS or not parts.netloc or parts.fragment or given.keys() - _PARAMETERS:
        raise ValueError(
            f"{url} is no URL of object storage: s3://bucket/prefix, gs://bucket/prefix, az://container/prefix"
        )
    credentials = Path(given["credentials"]) if "credentials" in given else None
    prefix = parts.path.strip("/")
    return Place(parts.scheme, parts.netloc, prefix, given.get("endpoint"), given.get("region"), credentials)


def connect(place: Place, *, anonymous: bool = False) -> ObjectStore:
    """Return a client that sees the prefix as its root. Nothing is asked yet. Raises CredentialsError and obstore's."""
    try:
        return _client(place, anonymous=anonymous)
    except BaseError as error:
        if place.credentials is None:
            raise
        raise CredentialsError(f"what {place.credentials} holds cannot be used: {told(error)}") from error


def _client(place: Place, *, anonymous: bool) -> ObjectStore:
    options: dict[str, Any] = _credentials(place) | ({"skip_signature": True} if anonymous else {})
    options |= {
        "prefix": place.prefix or None,
        "client_options": {**_CLIENT, "allow_http": (place.endpoint or "").startswith("http://")},
        "retry_config": _RETRY,
    }
    match place.scheme:
        case "s3":
            return S3Store(place.bucket, **_given(endpoint=place.endpoint, region=place.region), **options)
        case "gs":
            return GCSStore(place.bucket, **_given(base_url=place.endpoint), **options)
        case _:
            return AzureStore(place.bucket, **{**_given(endpoint=place.endpoint), **_account(place), **options})


def _given(**options: str | None) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value}


def _account(place: Place) -> dict[str, Any]:
    """Return the account of a container, with which the endpoint's host begins."""
    return _given(account_name=(urlsplit(place.endpoint or "").hostname or "").partition(".")[0])


def _credentials(place: Place) -> dict[str, str]:
    if place.credentials is None:
        return {}
    known = CREDENTIALS[place.scheme]
    found = {name: content for name in known if (content := _content(place.credentials / name))}
    if missing := [name for name in _NEEDED[place.scheme] if name not in found]:
        raise CredentialsError(f"{place.credentials} lacks {' and '.join(missing)}")
    if not found:
        raise CredentialsError(f"{place.credentials} has none of {', '.join(known)}")
    return {known[name]: content for name, content in found.items()}


def _content(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise CredentialsError(f"{file} cannot be read: {error}") from error
