"""Every manifest we render, applied twice to a real API server: the second time nothing may change.

A null or an empty list that the server drops would make a reconcile that never ends.
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from embedplane_operator.api.repair import Lack, Repair
from embedplane_operator.render.build_job import render_build_job
from embedplane_operator.render.deployment import render_deployment
from tests.support.kubectl import Kubectl
from tests.support.rendering import ROOT, every_manifest, model_of, request_for, resolved, settings_of
from tests.support.waiting import wait_for

pytestmark = pytest.mark.cluster

CASES = sorted((ROOT / "tests" / "data").glob("*/input.yaml"))
APPLY = ("--server-side", "--field-manager=embedplane", "--force-conflicts")


def applied(namespace: Kubectl, manifests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    bundle = {"apiVersion": "v1", "kind": "List", "items": manifests}
    printed = json.loads(namespace.run("apply", "-f", "-", "-o", "json", *APPLY, stdin=json.dumps(bundle)))
    items: list[dict[str, Any]] = printed["items"] if printed["kind"] == "List" else [printed]
    return items


def owner_in(namespace: Kubectl, given: dict[str, Any]) -> dict[str, Any]:
    """Create the EmbeddingModel that the children belong to; suspended, should an operator be about."""
    body = {"apiVersion": "embedplane.io/v1alpha1", "kind": "EmbeddingModel", "spec": given["spec"] | {"suspend": True}}
    body["metadata"] = {"name": "minilm", "namespace": namespace.namespace}
    return applied(namespace, [body])[0]


def versions_of(items: list[dict[str, Any]]) -> dict[str, str]:
    return {f"{each['kind']} {each['metadata']['name']}": each["metadata"]["resourceVersion"] for each in items}


def generations_of(items: list[dict[str, Any]]) -> dict[str, int | None]:
    return {f"{each['kind']} {each['metadata']['name']}": each["metadata"].get("generation") for each in items}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.parent.name)
def test_applying_twice_changes_nothing(namespace: Kubectl, case: Path) -> None:
    given = yaml.safe_load(case.read_text())
    owner = owner_in(namespace, given)
    identity = {"namespace": namespace.namespace, "uid": owner["metadata"]["uid"]}
    model = model_of(owner["spec"], **given.get("metadata", {}), **identity)
    manifests = every_manifest(model, settings_of(**given.get("settings", {})))

    first = applied(namespace, manifests)
    last, moving = versions_of(first), set(versions_of(first))

    def are_at_rest() -> bool:
        """Controllers write status meanwhile: an object was left alone once two applies in a row agree."""
        before = dict(last)
        last.update(versions_of(applied(namespace, manifests)))
        moving.intersection_update(name for name in before if before[name] != last[name])
        return not moving

    wait_for("applying changes nothing", are_at_rest, within=120, pause=0, explain=lambda: str(moving))
    assert generations_of(first) == generations_of(applied(namespace, manifests))


def test_a_repair_is_applied_as_it_stands_and_taken_back(namespace: Kubectl) -> None:
    owner = owner_in(namespace, {"spec": {"source": {"huggingFace": {"repo": "a/b"}}}})
    model = model_of(owner["spec"], namespace=namespace.namespace, uid=owner["metadata"]["uid"])
    settings, engine = settings_of(), resolved().engine.key
    lack = Lack(reason="EngineIncompatible", machine="x86-64-avx2", node="node-1", ended=datetime.now(UTC))
    build = render_build_job(model, settings, request_for(model, "0" * 64), "export-key", near="node-1")
    failing = render_deployment(model, settings, resolved(), Repair(engine=engine, lack=lack))

    first = applied(namespace, [build, failing])
    assert generations_of(applied(namespace, [build, failing])) == generations_of(first)
    (deployment,) = applied(namespace, [render_deployment(model, settings, resolved(), Repair(engine=engine))])

    assert "embedplane.io/repair" in first[1]["metadata"]["annotations"]
    assert "embedplane.io/repair" not in deployment["metadata"]["annotations"]
    assert deployment["spec"]["template"] == first[1]["spec"]["template"]  # so no rollout


def test_defaults_of_the_api_server_and_of_the_models_agree(namespace: Kubectl) -> None:
    given = {"spec": {"source": {"huggingFace": {"repo": "a/b"}}}}

    stored, ours = owner_in(namespace, given)["spec"], model_of(given["spec"] | {"suspend": True}).spec

    assert model_of(stored).spec == ours
