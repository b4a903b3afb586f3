"""What the API server itself says about EmbeddingModels: defaults, refusals with a remedy, explanations, columns."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.kubectl import Kubectl, KubectlError
from tests.support.models import embedding_model

pytestmark = pytest.mark.cluster

HUB = {"huggingFace": {"repo": "a/b"}}
CLAIM = {"persistentVolumeClaim": {"claimName": "models"}}
BUCKET = {"objectStorage": {"url": "s3://models/minilm"}}
EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))


def created(namespace: Kubectl, manifest: dict[str, Any]) -> dict[str, Any]:
    """Return the object as the API server would store it."""
    printed = namespace.run("create", "-f", "-", "--dry-run=server", "-o", "json", stdin=json.dumps(manifest))
    return json.loads(printed)


def refusal(namespace: Kubectl, manifest: dict[str, Any]) -> str:
    with pytest.raises(KubectlError) as refused:
        created(namespace, manifest)
    return str(refused.value)


def test_defaults_are_visible(empty_namespace: Kubectl) -> None:
    manifest = embedding_model("minimal", empty_namespace.namespace)
    manifest["spec"] = {"source": {"huggingFace": {"repo": "a/b"}}}

    spec = created(empty_namespace, manifest)["spec"]

    assert spec == {
        "source": {"huggingFace": {"repo": "a/b", "revision": "main"}},
        "engine": {
            "backend": "auto",
            "precision": "auto",
            "conformance": {"minimumCosine": 0.999},
            "jobs": {"activeDeadlineSeconds": 3600},
        },
        "serving": {
            "defaultRoute": "/v1/embeddings",
            "longInput": "Reject",
            "tokenEncoding": "model",
            "maxRequestSeconds": 300,
            "maxConnectionSeconds": 60,
            "drainDelaySeconds": 10,
            "rollout": {"maxSurge": 1, "maxUnavailable": 0},
        },
        "scaling": {
            "minReplicas": 1,
            "maxReplicas": 1,
            "targetQueueSeconds": 0.5,
            "targetBulkQueueSeconds": 60,
            "targetUtilizationPercent": 80,
            "mode": "Builtin",
            "paused": False,
            "behavior": {
                "scaleUp": {
                    "stabilizationWindowSeconds": 0,
                    "selectPolicy": "Max",
                    "policies": [
                        {"type": "Percent", "value": 100, "periodSeconds": 15},
                        {"type": "Pods", "value": 4, "periodSeconds": 15},
                    ],
                },
                "scaleDown": {
                    "stabilizationWindowSeconds": 300,
                    "selectPolicy": "Max",
                    "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}],
                },
            },
        },
        "vectorSpacePolicy": "Refuse",
        "retireAfter": "24h",
        "suspend": False,
    }


def test_a_part_of_an_object_gets_the_rest(empty_namespace: Kubectl) -> None:
    manifest = embedding_model("partial", empty_namespace.namespace, source=CLAIM)
    manifest["spec"] |= {"scaling": {"maxReplicas": 3}, "accelerator": {"profile": "nvidia-l4"}}

    spec = created(empty_namespace, manifest)["spec"]

    assert spec["scaling"]["minReplicas"] == 1
    assert spec["accelerator"] == {"profile": "nvidia-l4", "count": 1, "fallbackAfter": "15m"}
    assert spec["source"]["persistentVolumeClaim"] == {"claimName": "models", "path": "."}


def test_what_requests_may_ask_for_and_who_may_ask_is_accepted(empty_namespace: Kubectl) -> None:
    wanted = {
        "embedding": {"dimensions": {"default": 256, "allowed": [64, 128]}},
        "serving": {
            "defaultRoute": "/api/search/v1/embeddings",
            "longInput": "Truncate",
            "tokenEncoding": "cl100k_base",
            "apiKeysSecretRef": {"name": "search-keys"},
        },
    }

    spec = created(empty_namespace, embedding_model("open", empty_namespace.namespace, **wanted))["spec"]

    assert spec["embedding"] == wanted["embedding"]
    assert spec["serving"].items() >= wanted["serving"].items()


REFUSED: list[tuple[str, dict[str, Any], list[str]]] = [
    (
        "no source",
        {"source": {}},
        ["spec.source", "set exactly one of huggingFace, objectStorage and pers"],
    ),
    (
        "a look every few seconds",
        {"source": HUB | {"driftCheckInterval": "10s"}},
        ["driftCheckInterval", "at least one minute"],
    ),
    ("a duration in words", {"source": HUB | {"driftCheckInterval": "daily"}}, ["driftCheckInterval"]),
    ("two sources", {"source": HUB | CLAIM}, ["spec.source", "set exactly one of"]),
    ("a source beside a bucket", {"source": HUB | BUCKET}, ["spec.source", "set exactly one of"]),
    ("no bucket", {"source": {"objectStorage": {"url": "s3:///a"}}}, ["objectStorage.url", "s3://bucket/folder"]),
    ("a bucket's web page", {"source": {"objectStorage": {"url": "https://a/b"}}}, ["url", "s3://bucket/folder"]),
    (
        "an endpoint in the url",
        {"source": {"objectStorage": {"url": "s3://a/b?endpoint=http://c"}}},
        ["objectStorage.url", "put a host into endpoint"],
    ),
    (
        "a host as a bucket's endpoint",
        {"source": {"objectStorage": {"url": "s3://models/a", "endpoint": "minio:9000"}}},
        ["objectStorage.endpoint", "starts with https://"],
    ),
    ("an url as repo", {"source": {"huggingFace": {"repo": "https://huggingface.co/a/b"}}}, ["repo", "owner/name"]),
    ("a revision with a space", {"source": {"huggingFace": {"repo": "a/b", "revision": "a b"}}}, ["revision"]),
    (
        "an endpoint without scheme",
        {"source": {"huggingFace": {"repo": "a/b", "endpoint": "hub.local"}}},
        ["endpoint", "https://"],
    ),
    (
        "an absolute path",
        {"source": {"persistentVolumeClaim": {"claimName": "a", "path": "/x"}}},
        ["path", "relative to the top of the claim"],
    ),
    (
        "a path out of the claim",
        {"source": {"persistentVolumeClaim": {"claimName": "a", "path": "x/../../y"}}},
        ["path", "relative to the top of the claim"],
    ),
    ("a served name twice", {"servedModelNames": ["a", "a"]}, ["servedModelNames", "Duplicate"]),
    ("no served name", {"servedModelNames": []}, ["servedModelNames", "at least 1"]),
    ("an unknown pooling", {"embedding": {"pooling": "median"}}, ["embedding.pooling", '"cls"', '"mean"']),
    (
        "a default prompt that is none",
        {"embedding": {"prompts": {"query": "q: "}, "defaultPrompt": "passage"}},
        ["embedding.defaultPrompt", "must name one of prompts"],
    ),
    (
        "no dimensions",
        {"embedding": {"dimensions": {"default": 0}}},
        ["embedding.dimensions.default", "greater than or equal to 1"],
    ),
    (
        "a length twice",
        {"embedding": {"dimensions": {"allowed": [64, 64]}}},
        ["embedding.dimensions.allowed", "Duplicate"],
    ),
    ("a length of nothing", {"embedding": {"dimensions": {"allowed": [-1]}}}, ["embedding.dimensions.allowed[0]"]),
    ("no window", {"embedding": {"maxSequenceLength": 0}}, ["maxSequenceLength", "greater than or equal to 1"]),
    ("an unknown backend", {"engine": {"backend": "onnx"}}, ["engine.backend", '"openvino"']),
    ("a precision we do not build", {"engine": {"precision": "int4"}}, ["engine.precision", '"bfloat16"']),
    ("a floor above one", {"engine": {"conformance": {"minimumCosine": 1.1}}}, ["minimumCosine", "less than or equal"]),
    ("no floor", {"engine": {"conformance": {"minimumCosine": 0}}}, ["minimumCosine", "greater than 0"]),
    (
        "a GPU backend without GPU",
        {"engine": {"backend": "tensorrt"}},
        ["set accelerator.profile, or engine.backend to auto"],
    ),
    (
        "fp8 without GPU",
        {"engine": {"precision": "fp8"}},
        ["fp8 is for engine.backend tensorrt", "8.9 or newer", "set accelerator.profile"],
    ),
    (
        "fp8 by another backend",
        {"engine": {"precision": "fp8", "backend": "tensorrt-llm"}, "accelerator": {"profile": "nvidia-l4"}},
        ["fp8 is for engine.backend tensorrt", "engine.backend to auto, or engine.precision to auto"],
    ),
    (
        "a CPU backend on a GPU",
        {"engine": {"backend": "openvino"}, "accelerator": {"profile": "nvidia-l4"}},
        ["remove accelerator, or set engine.backend to auto"],
    ),
    ("an accelerator without profile", {"accelerator": {"count": 1}}, ["set exactly one of profile, for example"]),
    (
        "a profile and profiles",
        {"accelerator": {"profile": "nvidia-l4", "profiles": ["nvidia-l4", "nvidia-a10g"]}},
        ["set exactly one of profile", "whose first with room is taken"],
    ),
    ("no profiles", {"accelerator": {"profiles": []}}, ["spec.accelerator.profiles", "at least 1 item"]),
    (
        "a profile twice",
        {"accelerator": {"profiles": ["nvidia-l4", "nvidia-a10g", "nvidia-l4"]}},
        ["spec.accelerator.profiles", "remove one of the two"],
    ),
    (
        "a time that is none",
        {"accelerator": {"profile": "nvidia-l4", "fallbackAfter": "15 minutes"}},
        ["fallbackAfter is a duration such as 90s"],
    ),
    (
        "int8 on a GPU",
        {"engine": {"precision": "int8"}, "accelerator": {"profile": "nvidia-l4"}},
        ["engine.precision int8 is for CPUs", "set engine.precision to auto"],
    ),
    ("a quantity that is none", {"resources": {"limits": {"cpu": "many"}}}, ["resources.limits"]),
    ("a quantity as a fraction", {"resources": {"limits": {"cpu": 0.5}}}, ["resources.limits"]),
    (
        "a rollout that cannot move",
        {"serving": {"rollout": {"maxSurge": "0%", "maxUnavailable": 0}}},
        ["rollout.maxUnavailable", "cannot both be 0", "set maxUnavailable to 1"],
    ),
    (
        "an unknown end of long texts",
        {"serving": {"longInput": "Cut"}},
        ["serving.longInput", '"Reject"', '"Truncate"'],
    ),
    ("an encoding we cannot read", {"serving": {"tokenEncoding": "o200k_base"}}, ["tokenEncoding", '"cl100k_base"']),
    ("keys in a Secret without a name", {"serving": {"apiKeysSecretRef": {}}}, ["apiKeysSecretRef.name", "Required"]),
    (
        "keys under one key of a Secret",
        {"serving": {"apiKeysSecretRef": {"name": "keys", "key": "a"}}},
        ["unknown field", "apiKeysSecretRef.key"],
    ),
    ("a route without a slash", {"serving": {"defaultRoute": "embed"}}, ["defaultRoute is a path such as /search/v1"]),
    ("a route that ends with a slash", {"serving": {"defaultRoute": "/a/"}}, ["ends without one"]),
    ("a route with a question", {"serving": {"defaultRoute": "/a?b"}}, ["letters, digits and -._~ only"]),
    ("a route out of its folder", {"serving": {"defaultRoute": "/a/../b"}}, ["defaultRoute is a path such as"]),
    ("a route of TEI", {"serving": {"defaultRoute": "/embed"}}, ["is another route", "choose another path"]),
    ("a route of TEI below /v1", {"serving": {"defaultRoute": "/v1/embed"}}, ["is another route"]),
    ("a probe as a route", {"serving": {"defaultRoute": "/v1/health"}}, ["is another route"]),
    ("a model's card as a route", {"serving": {"defaultRoute": "/v1/models/minilm"}}, ["is another route"]),
    ("no time for a request", {"serving": {"maxRequestSeconds": 0}}, ["maxRequestSeconds"]),
    (
        "fewest above most",
        {"scaling": {"minReplicas": 3, "maxReplicas": 2}},
        ["scaling.minReplicas", "minReplicas 3 is above maxReplicas 2: raise maxReplicas or lower minReplicas"],
    ),
    ("no replicas", {"scaling": {"minReplicas": 0}}, ["minReplicas", "greater than or equal to 1"]),
    ("an unknown mode", {"scaling": {"mode": "KEDA"}}, ["scaling.mode", '"Builtin"', '"Disabled"']),
    (
        "a label of ours",
        {"podTemplate": {"labels": {"embedplane.io/model": "x"}}},
        ["podTemplate.labels", "use a key of your own"],
    ),
    (
        "a component of ours",
        {"podTemplate": {"labels": {"app.kubernetes.io/component": "x"}}},
        ["podTemplate.labels", "use a key of your own"],
    ),
    (
        "an annotation of ours",
        {"podTemplate": {"annotations": {"embedplane.io/resolved": "{}"}}},
        ["podTemplate.annotations", "use a key of your own"],
    ),
    (
        "a variable of ours",
        {"podTemplate": {"env": [{"name": "EMBEDPLANE_PORT", "value": "1"}]}},
        ["podTemplate.env", "set the field of spec"],
    ),
    ("a policy", {"vectorSpacePolicy": "Replace"}, ["vectorSpacePolicy", '"Refuse", "SideBySide"']),
    ("a bare number for a time", {"retireAfter": "24"}, ["spec.retireAfter", "such as 90s, 30m, 24h"]),
    (
        "a space of another form",
        {"vectorSpacePolicy": "SideBySide", "activeVectorSpace": "minilm"},
        ["spec.activeVectorSpace", "vs1-0123456789abcdef0123;dimensions=256"],
    ),
    ("an unknown effect", {"podTemplate": {"tolerations": [{"effect": "Never"}]}}, ["tolerations[0].effect"]),
    ("an unknown field", {"replicas": 3}, ["unknown field", "spec.replicas"]),
    ("an unknown deep field", {"engine": {"jobs": {"backoffLimit": 3}}}, ["unknown field", "backoffLimit"]),
    (
        "an unknown field of an affinity",
        {"podTemplate": {"affinity": {"nodeAffinty": {}}}},
        ["unknown field", "nodeAffinty"],
    ),
]


@pytest.mark.parametrize(("spec", "said"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_it_refuses(empty_namespace: Kubectl, spec: dict[str, Any], said: list[str]) -> None:
    message = refusal(empty_namespace, embedding_model("refused", empty_namespace.namespace, **spec))

    assert [part for part in said if part not in message] == [], message


@pytest.mark.parametrize("name", ["a" * 41, "1st", "with.dot"])
def test_a_name_must_become_a_host_name(empty_namespace: Kubectl, name: str) -> None:
    message = refusal(empty_namespace, embedding_model(name, empty_namespace.namespace))

    assert "metadata.name becomes a host name" in message


def test_the_longest_name_is_accepted(empty_namespace: Kubectl) -> None:
    created(empty_namespace, embedding_model("a" * 40, empty_namespace.namespace))


def test_server_side_apply_refuses_unknown_fields_even_unvalidated(empty_namespace: Kubectl) -> None:
    manifest = embedding_model("typo", empty_namespace.namespace, enginee={"backend": "auto"})

    with pytest.raises(KubectlError, match="field not declared in schema"):
        empty_namespace.apply(manifest, "--server-side", "--validate=ignore")


def test_client_side_apply_can_be_followed_by_server_side_apply(namespace: Kubectl) -> None:
    manifest = embedding_model("both", namespace.namespace)

    namespace.apply(manifest)
    namespace.apply(manifest, "--server-side")

    assert namespace.names("em") == {"both"}


def test_an_update_that_is_refused_leaves_the_old_spec(namespace: Kubectl) -> None:
    manifest = embedding_model("kept", namespace.namespace)
    namespace.apply(manifest)
    wrong = copy.deepcopy(manifest)
    wrong["spec"]["scaling"] = {"minReplicas": 5}

    with pytest.raises(KubectlError, match="minReplicas 5 is above maxReplicas 1"):
        namespace.apply(wrong)

    kept = namespace.get("em", "kept")
    assert kept is not None
    assert kept["spec"]["scaling"]["minReplicas"] == 1
    assert kept["metadata"]["generation"] == 1


def test_the_crd_can_be_applied_on_the_client_side(crd: Path) -> None:
    Kubectl().run("apply", "--dry-run=server", "-f", str(crd))

    assert crd.stat().st_size < 200_000


def test_every_field_is_explained(crd: Path) -> None:
    explained = Kubectl().run("explain", "embeddingmodels.spec.serving.drainDelaySeconds")

    assert "told to end" in explained
    assert "Default: 10" in explained


def test_short_name_category_and_columns_work(namespace: Kubectl) -> None:
    namespace.apply(embedding_model("listed", namespace.namespace))

    header, row = namespace.run("get", "em", "-o", "wide").splitlines()

    wanted = ["NAME", "READY", "REASON", "BACKEND", "REPLICAS", "SPACE", "URL", "AGE", "COMMIT", "COSINE", "TOKENS/S"]
    assert header.split() == wanted
    assert row.startswith("listed")
    assert "embeddingmodel.embedplane.io/listed" in namespace.run("get", "all", "-o", "name")


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_accepted(empty_namespace: Kubectl, example: Path) -> None:
    for manifest in yaml.safe_load_all(example.read_text()):
        created(empty_namespace, manifest)
