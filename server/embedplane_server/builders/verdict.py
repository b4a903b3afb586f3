"""What an engine has to prove: near enough to the reference by the user's floor, and sound whatever the floor is.

The floor is about precision. The other bounds are about being the same model at all: they hold whatever floor a user
accepts, and a right engine is far from them. An engine that was published by an older version has not all figures.
"""

from embedplane_server.builders.conformance import Conformance, told
from embedplane_server.results import ConformanceResult

LARGEST_NORM_DIFFERENCE = 0.05
LEAST_NEIGHBOR_OVERLAP = 0.8
LEAST_BATCH_COSINE = 0.99


def faults(found: Conformance | ConformanceResult, floor: float) -> list[str]:
    """Return what is wrong with an engine, in words that follow "the engine's"; nothing: it may serve."""
    wrong = []
    if found.minimum_cosine < floor:
        wrong.append(f"{told(found)}, below the floor {floor}")
    if found.maximum_norm_difference is not None and found.maximum_norm_difference > LARGEST_NORM_DIFFERENCE:
        wrong.append(
            f"vectors are not as long as sentence-transformers': by up to {found.maximum_norm_difference:.1%} (at most "
            f"{LARGEST_NORM_DIFFERENCE:.0%}), as with another normalisation"
        )
    if found.neighbor_overlap is not None and found.neighbor_overlap < LEAST_NEIGHBOR_OVERLAP:
        wrong.append(
            f"vectors share {found.neighbor_overlap:.1%} of their nearest neighbours with sentence-transformers' (at "
            f"least {LEAST_NEIGHBOR_OVERLAP:.0%})"
        )
    if found.minimum_batch_cosine is not None and found.minimum_batch_cosine < LEAST_BATCH_COSINE:
        wrong.append(
            f"vectors depend on what else is in the batch: a cosine of {found.minimum_batch_cosine:.6f} to the same "
            f"text's alone (at least {LEAST_BATCH_COSINE})"
        )
    return wrong
