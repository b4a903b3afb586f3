"""The EmbeddingModel API: the single source of the CRD."""
