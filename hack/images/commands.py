"""The command line of hack/images: parse, call one function, print its faults."""

import argparse
from collections.abc import Sequence

from hack.cluster.layout import REGISTRY, Layout
from hack.cluster.progress import SetupError, complain, say
from hack.images.catalog import IMAGES
from hack.images.publish import build_all, push_all


def main(arguments: Sequence[str]) -> int:
    """Build images, push them if asked to, print their references, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="hack/images/images",
        description="Build Embedplane's images as far as something changed. EMBEDPLANE_BASE_IMAGE names another base, "
        "EMBEDPLANE_TORCH_INDEX an index with CPU wheels of torch (the exporter is 1.2 GB then, not 3.6).",
    )
    parser.add_argument("action", choices=["build", "push"])
    parser.add_argument(
        "names", nargs="*", metavar="IMAGE", help=f"of {', '.join(image.name for image in IMAGES)}; all"
    )
    parser.add_argument("--registry", default=REGISTRY, help="where to push to (%(default)s)")
    options = parser.parse_args(arguments)
    try:
        layout = Layout.of_environment()
        built = build_all(layout, tuple(options.names))
        if options.action == "build":
            references = {each.image.name: each.tag for each in built}
        else:
            references = push_all(layout, built, options.registry)
    except SetupError as error:
        return complain(error)
    for name, reference in references.items():
        say(f"{name}={reference}")
    return 0
