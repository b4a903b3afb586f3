"""Build what changed and bring it to a registry, or into kind. Tags are keys of the content (catalog.py)."""

import fcntl
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from hack import environment
from hack.cluster.debian import IMAGE_PACKAGES, install_missing
from hack.cluster.layout import REGISTRY, Layout
from hack.cluster.progress import SetupError, require_room, say, step
from hack.images.base import base_tag, ensure_base
from hack.images.builders import Buildah, Builder, Docker, Recipe, docker_answers
from hack.images.catalog import IMAGES, Image, dependency_key, image_key
from hack.images.registry import LocalRegistry

LOCAL = "localhost/embedplane"
DOCKER_BASE = "docker.io/library/python:3.11-slim-bookworm"


@dataclass(frozen=True)
class Built:
    """An image in the builder's own storage."""

    image: Image
    dependencies: str
    key: str

    @property
    def repository(self) -> str:
        return f"embedplane/{self.image.name}"

    @property
    def tag(self) -> str:
        return f"{LOCAL}/{self.image.name}:{self.key}"


@dataclass(frozen=True)
class Workshop:
    """A build program with the base it builds on."""

    builder: Builder
    base: str
    torch_index: str


@contextmanager
def workshop(layout: Layout) -> Iterator[Workshop]:
    """Choose the build program and hold the lock of the image storage."""
    folder = layout.cache / "images"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        base, torch_index = environment.base_image(), environment.torch_index()
        if docker_answers():
            yield Workshop(Docker(folder), base or DOCKER_BASE, torch_index)
            return
        install_missing(IMAGE_PACKAGES)
        builder = Buildah(folder)
        yield Workshop(builder, base or ensure_base(builder), torch_index)


def gigabytes_to_build(layout: Layout) -> float:
    """Return the disk that building what is missing takes at its peak; Docker keeps its own accounts."""
    if docker_answers():
        return 0
    folder = layout.cache / "images"
    missing = list(IMAGES)
    if shutil.which("buildah") is not None and (folder / "storage").is_dir():
        base, torch_index = environment.base_image() or base_tag(), environment.torch_index()
        shop = Workshop(Buildah(folder), base, torch_index)
        missing = [image for image in IMAGES if not shop.builder.holds(_dependency_tag(_plan(shop, image)))]
    return max((image.gigabytes for image in missing), default=0)


def build_all(layout: Layout, names: tuple[str, ...] = ()) -> list[Built]:
    """Build the named images, or all, as far as their keys are new."""
    with workshop(layout) as shop:
        planned = [_plan(shop, image) for image in IMAGES if not names or image.name in names]
        _announce(layout, shop, planned)
        for built in planned:
            _build(shop, built)
        _remove_outdated(shop, planned)
        return planned


def _plan(shop: Workshop, image: Image) -> Built:
    dependencies = dependency_key(image, shop.base, shop.torch_index)
    return Built(image, dependencies, image_key(image, dependencies))


def _dependency_tag(built: Built) -> str:
    return f"{LOCAL}/{built.image.dependencies}:{built.dependencies}"


def _announce(layout: Layout, shop: Workshop, planned: list[Built]) -> None:
    """Say what the work will take before it starts, and refuse when there is no room for it."""
    missing = [each for each in planned if not shop.builder.holds(_dependency_tag(each))]
    if not missing:
        return
    for each in missing:
        image = each.image
        cost = f"about {image.minutes} min, {image.gigabytes:g} GB at the peak"
        say(f"  image {image.name}: dependencies to build, {cost}")
    require_room(layout.cache, max(each.image.gigabytes for each in missing), "building images")


def _remove_outdated(shop: Workshop, planned: list[Built]) -> None:
    """Remove what earlier keys of these images left. After the build, which may still take unchanged layers from it."""
    current = {_dependency_tag(each) for each in planned} | {each.tag for each in planned} | {shop.base}
    outdated = [tag for tag in shop.builder.tags() if tag.startswith(f"{LOCAL}/") and tag not in current]
    for tag in outdated:
        if _is_of(tag, planned):
            shop.builder.remove(tag)
    if any("-dependencies:" in tag for tag in outdated):
        shop.builder.prune()


def _is_of(tag: str, planned: list[Built]) -> bool:
    names = {name for each in planned for name in (each.image.name, each.image.dependencies)}
    return tag.removeprefix(f"{LOCAL}/").partition(":")[0] in names


def _build(shop: Workshop, built: Built) -> None:
    image, arguments = built.image, {"BASE": shop.base}
    if image.name == "exporter":
        arguments["TORCH_INDEX"] = shop.torch_index
    for tag, target in ((_dependency_tag(built), image.dependencies), (built.tag, image.name)):
        if not shop.builder.holds(tag):
            with step(f"image {image.name}: {'source' if target == image.name else 'dependencies'}"):
                shop.builder.build(Recipe(tag, image.dockerfile, target, arguments))


def push_all(layout: Layout, built: list[Built], registry: str = REGISTRY) -> dict[str, str]:
    """Push what the registry does not hold yet; return the reference of each image by its name."""
    references = {each.image.name: f"{registry}/{each.repository}:{each.key}" for each in built}
    is_local, ours = registry == REGISTRY, LocalRegistry(layout)
    with workshop(layout) as shop:
        missing = [each for each in built if not (is_local and ours.manifest(each.repository, each.key))]
        for each in missing:
            with step(f"push {references[each.image.name]}"):
                shop.builder.push(each.tag, references[each.image.name], plain_http=is_local)
        outdated = [
            ours.drop_outdated(each.repository, each.key, each.image.thin_layers) for each in missing if is_local
        ]
        if any(outdated):
            with step("drop images with earlier dependencies from the registry"):
                ours.collect()
    return references


def load_into_kind(built: list[Built], cluster: str) -> dict[str, str]:
    """Load the images into the nodes of a kind cluster; return the reference of each by its name."""
    for each in built:
        with step(f"load {each.tag} into kind"):
            done = subprocess.run(
                ["kind", "load", "docker-image", "--name", cluster, each.tag],
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode != 0:
                raise SetupError(f"kind load docker-image {each.tag} failed: {done.stderr.strip()}")
    return {each.image.name: each.tag for each in built}
