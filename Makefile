# make env     .venv with all that development and tests need
# make check   the fast checks: lint, types, import contracts, unit tests (no cluster)
# make test    everything, on a real cluster
# make demo    from `kubectl apply` to vectors, on a real cluster
# make down    end what demo and test started
.DEFAULT_GOAL := help
.PHONY: help env check test demo down format crds

help:
	@sed -n 's/^# //p' $(MAKEFILE_LIST)

env:
	@hack/env.sh

check: env
	@hack/check.sh

test: env
	@hack/test.sh

demo: env
	@hack/demo/demo

down:
	@hack/demo/down

format: env
	@.venv/bin/ruff check --fix --quiet; .venv/bin/ruff format

crds: env
	@.venv/bin/python hack/generate_crds.py
