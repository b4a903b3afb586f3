"""Removes from a store what nobody uses any more, side by side with those who read and write it.

Whoever finds an entry and means to use it leaves a mark and looks whether the entry is still there (`Store.use`); a
collection takes the manifest away and looks whether there is a new mark. So one of the two always sees the other: the
entry is put back, or was never found. Nothing younger than the cutoff goes, be it half written or whole; a collection
that ends half way leaves entries without a manifest, which do not exist, and files that the next one takes.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from embedplane_server.errors import TransientError
from embedplane_server.store.entries import MANIFEST, Entry, read_entry
from embedplane_server.store.objects import Listed, Objects
from embedplane_server.store.quarantine import QUARANTINE

DEPTHS: Mapping[str, int] = {"models": 2, "exports": 2, "engines": 3}
"""How many parts the name of an entry has, by its first."""
MARKS = "uses"
TIMINGS = "timings"
"""Where `timing.py` keeps what builds have measured: as long as an engine names it, or a build wrote it."""


@dataclass(frozen=True)
class Kept:
    """What stays: entries that have one of these names, or speak of one, and everything used since the cutoff."""

    names: frozenset[str]
    cutoff: datetime

    def has(self, name: str, entry: Entry | None) -> bool:
        """True for an entry that is in use; an export is, as long as its vector space is."""
        space = entry.about.get("vector_space") if entry and name.startswith("exports/") else None
        return name.split("/")[1] in self.names or space in self.names

    def is_old(self, things: Iterable[Listed | None]) -> bool:
        """True if none of these was written since the cutoff."""
        return all(each.modified < self.cutoff for each in things if each is not None)


@dataclass
class Collected:
    """What a collection did."""

    removed: dict[str, int] = field(default_factory=lambda: dict.fromkeys((*DEPTHS, "leftovers"), 0))
    removed_bytes: int = 0
    in_use: int = 0
    waiting: int = 0
    """Entries that nobody uses and that are too young to go."""
    spared: int = 0
    """Entries that somebody found again just in time."""
    failures: list[TransientError] = field(default_factory=list)


def mark_of(name: str) -> str:
    """Return where those who use an entry leave their mark."""
    return f"{MARKS}/{name}"


def by_place(listed: Iterable[Listed], depth: int) -> dict[str, list[Listed]]:
    """Group what is listed by the first parts of its path; what lies higher up stands by itself."""
    found: defaultdict[str, list[Listed]] = defaultdict(list)
    for each in listed:
        found["/".join(each.path.split("/")[:depth])].append(each)
    return found


class Collector:
    """One walk through a store."""

    def __init__(self, objects: Objects, kept: Kept) -> None:
        self._objects = objects
        self._kept = kept
        self._done = Collected()
        self._timings: set[str] = set()
        """Those that engines name which stay."""

    async def run(self) -> Collected:
        """Walk through it; what fails with one entry does not keep the others from going."""
        marks = {each.path: each for each in await self._objects.listed(MARKS)}
        for kind, depth in DEPTHS.items():
            for name, files in by_place(await self._objects.listed(kind), depth).items():
                try:
                    await self._look_at(name, files, marks.pop(mark_of(name), None))
                except TransientError as error:
                    self._done.failures.append(error)
        await self._remove_leftovers(by_place(await self._objects.listed(QUARANTINE), 2))
        await self._remove_leftovers({path: [mark] for path, mark in marks.items()})
        if not self._done.failures:  # else some engine has not told what it names
            timings = by_place(await self._objects.listed(TIMINGS), 3)
            await self._remove_leftovers({path: each for path, each in timings.items() if path not in self._timings})
        return self._done

    async def _look_at(self, name: str, files: list[Listed], mark: Listed | None) -> None:
        manifest = next((each for each in files if each.path == f"{name}/{MANIFEST}"), None)
        content = await self._objects.read(manifest.path) if manifest else None
        entry = _read(content)
        inside = by_place(files, name.count("/") + 2)
        if content is not None and self._kept.has(name, entry):
            self._done.in_use += 1
            if entry is None:
                return  # damaged: for those to mend who use it
        elif content is not None and not self._kept.is_old([manifest, mark]):
            self._done.waiting += 1
        elif content is not None and not await self._set_aside(name, content):
            self._done.spared += 1
        elif content is not None:
            self._done.removed[name.split("/", 1)[0]] += 1
            await self._remove(name, inside, entry)
            return
        if entry is not None and content is not None:
            self._timings.add(str(entry.about.get("timings")))
        named = {f"{name}/{MANIFEST}", f"{name}/{entry.folder if entry else ''}"}
        await self._remove_leftovers({path: found for path, found in inside.items() if path not in named}, name)

    async def _set_aside(self, name: str, manifest: bytes) -> bool:
        """Take the manifest away unless somebody has found the entry since it was listed."""
        before = await self._objects.modified(mark_of(name))
        if before is not None and before >= self._kept.cutoff:
            return False
        await self._objects.remove(f"{name}/{MANIFEST}")
        if await self._objects.modified(mark_of(name)) == before:
            return True
        await self._objects.create(f"{name}/{MANIFEST}", manifest)
        return False

    async def _remove(self, name: str, inside: Mapping[str, list[Listed]], entry: Entry | None) -> None:
        """Remove the files of an entry that is set aside; another one of its name may be in the making."""
        if entry is not None:
            self._done.removed_bytes += sum(each.size for each in inside.get(f"{name}/{entry.folder}", ()))
            await self._objects.remove_below(f"{name}/{entry.folder}")
        await self._objects.remove(mark_of(name))
        own = {f"{name}/{MANIFEST}", *(path for path in inside if _is_of(path, entry))}
        await self._remove_leftovers({path: found for path, found in inside.items() if path not in own}, name)

    async def _remove_leftovers(self, places: Mapping[str, Collection[Listed]], name: str | None = None) -> None:
        """Remove what belongs to no entry and was not touched since the cutoff."""
        for place, files in places.items():
            if not self._kept.is_old(files) or (name and await self._is_named_by_now(name, place)):
                continue
            self._done.removed["leftovers"] += 1
            self._done.removed_bytes += sum(each.size for each in files)
            for each in files:
                if each.path == place:
                    await self._objects.remove(place)
            if any(each.path != place for each in files):
                await self._objects.remove_below(place)

    async def _is_named_by_now(self, name: str, place: str) -> bool:
        entry = _read(await self._objects.read(f"{name}/{MANIFEST}"))
        return _is_of(place, entry)


def _is_of(path: str, entry: Entry | None) -> bool:
    return entry is not None and path.rpartition("/")[2] == entry.folder


def _read(content: bytes | None) -> Entry | None:
    return None if content is None else read_entry(content)
