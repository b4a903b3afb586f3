"""Embedplane's operator: EmbeddingModels in, Jobs, Deployments and replica counts out."""
