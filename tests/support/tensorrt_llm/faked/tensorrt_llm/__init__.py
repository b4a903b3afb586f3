"""A fake of TensorRT-LLM; importing the real one registers its plugins."""

__version__ = "1.2.1"
