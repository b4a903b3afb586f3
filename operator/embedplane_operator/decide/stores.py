"""Which stores there are, and whose models use each. Pure.

A claim is of its namespace. Object storage has a prefix for each namespace with models, or one for all: what is in use
there is said by the models of all namespaces, so it is collected only by an operator that sees them all.
"""

from collections.abc import Collection
from dataclasses import dataclass

from embedplane_operator.settings import Settings

EVERY_NAMESPACE = ""


@dataclass(frozen=True, order=True)
class Store:
    """One store: the namespace where Jobs look after it, and the one whose models use it."""

    home: str
    users: str
    """A namespace, or EVERY_NAMESPACE."""


def stores_of(settings: Settings, with_claims: Collection[str], with_models: Collection[str]) -> tuple[Store, ...]:
    """The stores to look after, from the names of namespaces with a claim of ours and of those with models."""
    if settings.store.is_of_all_namespaces:
        homes = [] if settings.watch_namespaces else sorted(with_models)[:1]
        return tuple(Store(home, EVERY_NAMESPACE) for home in homes)
    return tuple(Store(each, each) for each in sorted(with_models if settings.store.is_remote else with_claims))
