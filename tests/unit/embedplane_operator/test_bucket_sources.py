"""Models from object storage: what pins them, and who holds the credentials."""

from typing import Any

import pytest

from embedplane_operator.render.inputs import fetch_inputs, source_inputs
from tests.support.rendering import every_manifest, model_of, settings_of
from tests.support.world import World, fetched

BUCKET = {"source": {"objectStorage": {"url": "s3://models/minilm", "credentialsSecretRef": {"name": "bucket"}}}}
COMMIT = "etags:" + "e" * 64


def test_a_source_s_credentials_stay_with_what_asks_the_source() -> None:
    manifests = every_manifest(model_of(BUCKET), settings_of())
    pods = [each["spec"]["template"]["spec"] for each in manifests if each["kind"] in ("Job", "Deployment")]
    holders = [
        pod["containers"][0]["args"][0]
        for pod in pods
        if any(volume.get("secret", {}).get("secretName") == "bucket" for volume in pod["volumes"])
    ]

    assert holders == ["fetch", "resolve"]


async def test_a_missing_secret_of_a_bucket_is_named_and_no_job_is_started() -> None:
    world = World()
    world.model(BUCKET)
    await world.settle()

    assert world.says("SourceResolved") == ("False", "SecretNotFound")
    message = (world.condition("SourceResolved") or {})["message"]
    assert "bucket" in message
    assert "spec.source.objectStorage.credentialsSecretRef" in message
    assert world.jobs() == []


async def test_a_bucket_is_pinned_and_a_later_fetch_asks_for_what_was_pinned() -> None:
    spec = {"source": {"objectStorage": {"url": "s3://models/minilm"}}}
    world = World()
    world.model(spec)
    await world.settle()
    assert "commit" not in world.environment(world.job("fetch"))["EMBEDPLANE_SOURCE"]
    world.finish("fetch", fetched(commit=COMMIT))
    await world.settle()

    world.model(spec | {"embedding": {"pooling": "cls"}})
    await world.settle()

    assert world.status["source"]["commit"] == COMMIT
    assert COMMIT in world.environment(world.job("fetch"))["EMBEDPLANE_SOURCE"]


@pytest.mark.parametrize(
    ("change", "resolves_again"),
    [
        ({"url": "s3://models/other"}, True),
        ({"endpoint": "https://objects.example.com"}, True),
        ({"region": "eu-central-1"}, False),
        ({"credentialsSecretRef": {"name": "another"}}, False),
    ],
)
def test_only_what_names_other_files_resolves_again(change: dict[str, Any], resolves_again: bool) -> None:
    before = model_of({"source": {"objectStorage": {"url": "s3://models/minilm"}}})
    after = model_of({"source": {"objectStorage": {"url": "s3://models/minilm"} | change}})

    assert (source_inputs(before) != source_inputs(after)) is resolves_again
    assert (fetch_inputs(before) != fetch_inputs(after)) is resolves_again
