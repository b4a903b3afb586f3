"""Damaged entries, set aside: out of the way of those who make them again, and kept for whoever asks what happened.

Only the newest few are kept. An entry that another writer has made again in the meantime is left where it is.
"""

import logging
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime

from embedplane_server.errors import TransientError, TransientReason
from embedplane_server.store.entries import FOLDER, MANIFEST, Entry
from embedplane_server.store.objects import Objects

QUARANTINE = "quarantine"
KEPT = 3
"""So many damaged entries stay; an entry may be as large as a model."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SetAside:
    """A damaged entry, and where it is now."""

    name: str
    problem: str
    place: str

    @property
    def told(self) -> str:
        return f"{self.name} was damaged in the store ({self.problem}); it is set aside in {self.place}"


class DamagedEntry(TransientError):  # noqa: N818 -- reads as the fact it states
    """An entry that is not as its writer left it."""

    def __init__(self, name: str, url: str, problem: str) -> None:
        super().__init__(
            TransientReason.DIGEST_MISMATCH,
            f"{name} in the store {url} is damaged: {problem}. Remove {name} there; it is then made again.",
        )
        self.problem = problem


class Quarantine:
    """The part of a store where damaged entries go, and what this process has put there."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self.put: list[SetAside] = []

    def of(self, name: str) -> SetAside | None:
        """Return what was done with an entry that this process found damaged."""
        return next((each for each in self.put if each.name == name), None)

    async def take(self, name: str, manifest: bytes, entry: Entry | None, problem: str) -> None:
        """Move an entry here whose manifest is still this one; the manifest first, so that nobody finds half of it."""
        place = f"{QUARANTINE}/{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-{secrets.token_hex(4)}"
        here, there = f"{name}/{MANIFEST}", f"{place}/{name}/{MANIFEST}"
        if not await self._objects.move(here, there):
            return  # another writer was faster
        moved = await self._objects.read(there)
        if moved is not None and moved != manifest:
            await self._objects.create(here, moved)
            await self._objects.remove_below(place)
            return
        for folder in [entry.folder] if entry else re.findall(FOLDER, manifest.decode(errors="replace"))[:1]:
            await self._objects.move_below(f"{name}/{folder}", f"{place}/{name}/{folder}")
        done = SetAside(name, problem, place)
        self.put.append(done)
        logger.warning("%s", done.told)
        await self._bound()

    async def _bound(self) -> None:
        for place in (await self._objects.names(QUARANTINE))[:-KEPT]:
            await self._objects.remove_below(f"{QUARANTINE}/{place}")
