"""Logits to scores, as the model itself wants it. Pure; which function a model has is in `model/classifier.py`."""

import numpy as np

from embedplane_server.engines.base import Vectors
from embedplane_server.model.classifier import Activation


def activate(activation: Activation, logits: Vectors) -> Vectors:
    """Return the scores of rows of logits."""
    if activation == "identity":
        return logits
    if activation == "sigmoid":
        # Nothing overflows, and a score near 0 keeps its digits: it has a place among others.
        part = np.exp(-np.abs(logits))
        return np.asarray(np.where(logits >= 0, 1.0, part) / (1.0 + part), dtype=np.float32)
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True), dtype=np.float32)
