"""The image that tests run where users have the GPU server: the serving image with NVIDIA's libraries imitated.

It is built from the two images that it is made of, whatever they were built from. `make demo` does not need it.
"""

from collections.abc import Sequence

from hack.cluster.layout import Layout
from hack.cluster.progress import step
from hack.images.builders import Recipe
from hack.images.catalog import GPU_IMITATION, image_key
from hack.images.publish import LOCAL, Built, workshop


def build_imitation(layout: Layout, built: Sequence[Built]) -> Built:
    """Build it from these images of the same tree, unless it is there."""
    images = {each.image.name: each for each in built}
    server, exporter = images["server"], images["exporter"]
    below = f"{server.key} {exporter.dependencies}"
    imitation = Built(GPU_IMITATION, below, image_key(GPU_IMITATION, below))
    with workshop(layout) as shop:
        if not shop.builder.holds(imitation.tag):
            arguments = {"SERVER": server.tag, "EXPORTER": exporter.tag}
            with step(f"image {GPU_IMITATION.name}"):
                shop.builder.build(Recipe(imitation.tag, GPU_IMITATION.dockerfile, GPU_IMITATION.name, arguments))
        for tag in shop.builder.tags():
            if tag.startswith(f"{LOCAL}/{GPU_IMITATION.name}:") and tag != imitation.tag:
                shop.builder.remove(tag)
    return imitation
