"""The artifact store: content-addressed entries, each complete once its manifest exists."""

from embedplane_server.store.collection import Collected, Kept
from embedplane_server.store.entries import Entry, digest_of, files_below
from embedplane_server.store.quarantine import DamagedEntry, SetAside
from embedplane_server.store.store import Intact, Lost, Store, open_store

__all__ = [
    "Collected",
    "DamagedEntry",
    "Entry",
    "Intact",
    "Kept",
    "Lost",
    "SetAside",
    "Store",
    "digest_of",
    "files_below",
    "open_store",
]
