"""What a vector space is to its model, and how a Deployment remembers it: annotations beside its template.

The main Service's selector is what counts; the annotations say the rest, and everything once that is lost.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

ANNOTATION_ROLE = "embedplane.io/role"
ANNOTATION_RETIRING_SINCE = "embedplane.io/retiring-since"
"""When a space stopped being the active one; absent where it never was."""


class Role(StrEnum):
    """What a space is to its model."""

    ACTIVE = "Active"  # the main Service sends requests to it
    CANDIDATE = "Candidate"  # what the spec leads to, served beside the active one
    RETIRING = "Retiring"  # it was active, and is kept for a while


def read_role(annotations: Mapping[str, str]) -> Role | None:
    """Return the role that was noted last; None where there is none yet."""
    try:
        return Role(annotations.get(ANNOTATION_ROLE, ""))
    except ValueError:
        return None


def read_retiring_since(annotations: Mapping[str, str]) -> datetime | None:
    """Return when the space stopped being active; None where it did not, or nobody can read it."""
    try:
        since = datetime.fromisoformat(annotations.get(ANNOTATION_RETIRING_SINCE, ""))
    except ValueError:
        return None
    return since if since.tzinfo else None
