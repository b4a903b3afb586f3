"""Embedplane's server side: fetch, export, build and serve text-embedding models."""
