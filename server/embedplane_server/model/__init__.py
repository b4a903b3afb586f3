"""What a sentence-transformers folder says, and the identity of its vector space."""

from embedplane_server.model.description import ModelDescription, describe

__all__ = ["ModelDescription", "describe"]
