"""The annotation of a Deployment whose servers, none of them ready, make room for a build of their model's next engine.

The autoscaler reads it. It names the engine that they have, so that it says nothing about servers of another.
"""

from collections.abc import Mapping

ANNOTATION = "embedplane.io/makes-room"


def has_given_way(annotations: Mapping[str, str], engine: str) -> bool:
    """True if the servers of this engine make room."""
    return annotations.get(ANNOTATION) == engine
