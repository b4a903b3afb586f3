"""Logits to scores, as the model itself wants it. Pure; which function a model has is in `model/classifier.py`."""

import numpy as np

from embedplane_server.engines.base import Vectors
from embedplane_server.model.classifier import Activation


def activate(activation: Activation, logits: Vectors) -> Vectors:
    """Return the scores of rows of logits."""
    if activation == "identity":
        return logits
    if activation == "sigmoid":
        # Half of tanh's range is the same curve, and nothing overflows.
        return np.asarray(0.5 * (1.0 + np.tanh(0.5 * logits)), dtype=np.float32)
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True), dtype=np.float32)
