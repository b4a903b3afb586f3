"""Who may ask: a key in the headers, as any of the clients sends it. Probes, metrics and the bare page need none."""

from collections.abc import Iterable

from embedplane_server.keys import ApiKeys
from embedplane_server.routes.errors import Unauthorized
from embedplane_server.routes.health import PROBE_PATHS

OPEN_PATHS = PROBE_PATHS | {"/"}
AUTHORIZATION = b"authorization"
SCHEMES = frozenset({"bearer", "api-key"})
KEY_HEADERS = frozenset({b"api-key", b"x-api-key"})

Headers = Iterable[tuple[bytes, bytes]]


def with_keys(headers: Headers) -> list[tuple[bytes, bytes]]:
    """Return those headers that `check_key` looks at."""
    return [(name, value) for name, value in headers if name == AUTHORIZATION or name in KEY_HEADERS]


def check_key(keys: ApiKeys, path: str, headers: Headers) -> None:
    """Raise `Unauthorized` unless the path is open or the headers hold a valid key."""
    if path not in OPEN_PATHS:
        authorize(keys, headers)


def sends_key(headers: Headers) -> bool:
    """Tell whether the headers hold a key, valid or not."""
    return _key(headers) is not None


def authorize(keys: ApiKeys, headers: Headers) -> None:
    """Raise `Unauthorized` unless the headers hold a valid key."""
    key = _key(headers)
    if key is None:
        raise Unauthorized(
            "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer "
            "auth (i.e. Authorization: Bearer YOUR_KEY)."
        )
    if not keys.accept(key):
        raise Unauthorized("Incorrect API key provided. Ask whoever runs this server for a valid one.")


def _key(headers: Headers) -> str | None:
    for name, value in headers:
        if name == AUTHORIZATION:
            scheme, _, key = value.decode("latin-1").partition(" ")
            return key.strip() if scheme.lower() in SCHEMES else None
        if name in KEY_HEADERS:
            return value.decode("latin-1").strip()
    return None
