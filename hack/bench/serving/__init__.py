"""The inference server beside its peers over HTTP: `hack/bench/server.py`."""
