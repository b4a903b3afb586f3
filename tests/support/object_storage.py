"""A real S3 server (Versity's gateway over a folder) as a process of the tests."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import httpx

from hack.provision.object_storage import program
from tests.support.ports import free_port
from tests.support.waiting import wait_for

KEY_ID = "an-access-key-of-the-tests"
SECRET_KEY = "a-secret-key-of-the-tests"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
METADATA = "metadata"
"""Beside the buckets: what an object has besides its bytes."""


@dataclass(frozen=True)
class ObjectStorage:
    """Where the server answers, and the folder whose folders are its buckets."""

    endpoint: str
    folder: Path

    def bucket(self, name: str) -> Path:
        """Make a bucket and return its folder: its objects are the files in it."""
        path = self.folder / "buckets" / name
        path.mkdir()
        return path

    def upload(self, bucket: str, prefix: str, folder: Path) -> None:
        """Put all files of a folder below a prefix, by the server's own interface."""
        from embedplane_server.store.remote import connect, read_place  # noqa: PLC0415 -- not where pods are built

        objects = connect(read_place(self.url(f"s3://{bucket}/{prefix}", self.credentials())))
        for path in folder.rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                objects.put(path.relative_to(folder).as_posix(), path)

    def credentials(self, **changed: str) -> Path:
        """Return a folder with the keys, as a mounted Secret has them."""
        path = self.folder / f"secret-{abs(hash(frozenset(changed.items())))}"
        path.mkdir(exist_ok=True)
        for name, content in {**CREDENTIALS, **changed}.items():
            if content:
                (path / name).write_text(content + "\n")
        return path

    def url(self, place: str, credentials: Path) -> str:
        """Return a store's URL."""
        return f"{place}?endpoint={quote(self.endpoint, safe='')}&credentials={quote(str(credentials), safe='')}"


@contextmanager
def running_object_storage(folder: Path, host: str = "127.0.0.1", *options: str) -> Iterator[ObjectStorage]:
    """Serve the buckets of a folder until the block ends; two servers of one folder show the same objects."""
    for name in ("buckets", METADATA):
        (folder / name).mkdir(parents=True, exist_ok=True)
    address = f"{host}:{free_port(host)}"
    command = [program(), "--quiet", "--health", "/health", "--port", address, *options]
    backend = ["posix", "--sidecar", folder / METADATA, folder / "buckets"]
    environment = {"ROOT_ACCESS_KEY": KEY_ID, "ROOT_SECRET_KEY": SECRET_KEY}
    process = subprocess.Popen([*command, *backend], env=environment, stdout=subprocess.DEVNULL)
    try:
        wait_for("the S3 server answers", lambda: answers(f"http://{address}"))
        yield ObjectStorage(f"http://{address}", folder)
    finally:
        process.terminate()
        process.wait(60)


def answers(endpoint: str) -> bool:
    try:
        return httpx.get(f"{endpoint}/health").is_success
    except httpx.HTTPError:
        return False
