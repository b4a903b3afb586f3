"""Embedplane's server side: fetch, export, build and serve text-embedding models."""

__version__ = "0.1.0"
