"""Traces of requests, where an OTLP endpoint is configured. Without one the library is not even imported."""
