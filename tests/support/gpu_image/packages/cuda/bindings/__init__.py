"""CUDA's Python bindings, as far as they are called."""
