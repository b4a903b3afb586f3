"""What object stores mean by the errors they answer with, in few words. Pure: reads exceptions of obstore."""

import re
from enum import Enum, auto
from http import HTTPStatus

from obstore.exceptions import PermissionDeniedError, UnauthenticatedError

_CODE = re.compile(r"<Code>([^<]*)</Code>")
_MESSAGE = re.compile(r"<Message>([^<]*)</Message>")
_STATUS = re.compile(r"status code: (\d{3})")

# S3 and GCS answer with the first word, Azure with the second.
_ABSENT = frozenset({"NoSuchKey", "BlobNotFound"})
_NO_BUCKET = frozenset({"NoSuchBucket", "InvalidBucketName", "ContainerNotFound", "InvalidResourceName"})
_ELSEWHERE = frozenset({"AuthorizationHeaderMalformed", "PermanentRedirect", "IllegalLocationConstraintException"})
_DENIED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
_MOVED = frozenset({HTTPStatus.MOVED_PERMANENTLY, HTTPStatus.TEMPORARY_REDIRECT})


class Meaning(Enum):
    """What is to be done about an error."""

    DENIED = auto()
    """The credentials are missing, wrong, or without the right."""
    NO_BUCKET = auto()
    """The bucket or container does not exist."""
    ELSEWHERE = auto()
    """The bucket is in another region than the request was made for."""
    UNREACHABLE = auto()
    """All else: no connection, no name, a fault of the server."""


def meaning_of(error: Exception) -> Meaning:
    """Return what an error of a request means."""
    code, status = _found(_CODE, error), int(_found(_STATUS, error) or 0)
    if code in _NO_BUCKET:
        return Meaning.NO_BUCKET
    if code in _ELSEWHERE or status in _MOVED:
        return Meaning.ELSEWHERE
    # Versity's gateway answers 404 to a key id that it does not know.
    is_denied = isinstance(error, PermissionDeniedError | UnauthenticatedError) or status in _DENIED
    return Meaning.DENIED if is_denied or code == "XAdminUserNotFound" else Meaning.UNREACHABLE


def is_absent(error: FileNotFoundError) -> bool:
    """Tell whether the object is what is not there: a missing bucket answers 404 as well."""
    return (_found(_CODE, error) or "NoSuchKey") in _ABSENT


def told(error: Exception) -> str:
    """Return the server's own words, else the first line of the library's."""
    code, message, status = (_found(pattern, error) for pattern in (_CODE, _MESSAGE, _STATUS))
    if code:
        return f"{status or ''} {code}: {message or ''}".strip(": ")
    first = str(error).strip().split("\n", 1)[0]
    return re.sub(r"\?\S+", "", first) or type(error).__name__  # a signed URL's query is a credential


def _found(pattern: re.Pattern[str], error: Exception) -> str | None:
    found = pattern.search(str(error))
    return found[1] if found else None
