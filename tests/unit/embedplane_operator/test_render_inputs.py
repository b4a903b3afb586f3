"""What names a Job and what does not: only a wish that changes the outcome may start a step again."""

import copy
from typing import Any

import pytest

from embedplane_operator.render.accelerator import UnknownAcceleratorError, engine_target
from embedplane_operator.render.inputs import (
    build_inputs,
    digest_of_texts,
    engine_inputs,
    export_inputs,
    fetch_inputs,
    source_inputs,
)
from tests.support.rendering import L4, SPACE, model_of, settings_of

HUB: dict[str, Any] = {"source": {"huggingFace": {"repo": "a/b"}}}
GPU = {"accelerator": {"profile": "nvidia-l4"}}


def hashes(spec: dict[str, Any], settings: dict[str, Any] | None = None, **metadata: Any) -> dict[str, str]:
    model, installation = model_of(spec, **metadata), settings_of(**(settings or {}))
    return {
        "source": source_inputs(model),
        "fetch": fetch_inputs(model),
        "export": export_inputs(model, installation, "digest"),
        "build": build_inputs(model, installation, "export"),
        "engine": engine_inputs(model, installation, SPACE),
    }


def test_own_texts_make_other_engines_and_none_leave_every_hash_as_it_was() -> None:
    model, installation = model_of(copy.deepcopy(HUB)), settings_of()
    without = hashes(copy.deepcopy(HUB))
    assert engine_inputs(model, installation, SPACE, None) == without["engine"]
    assert engine_target(model, installation).to_document() == {"backend": "openvino", "precision": "auto"}
    for digest in ("a" * 64, "b" * 64):
        found = {
            export_inputs(model, installation, "digest", digest),
            build_inputs(model, installation, "export", digest),
            engine_inputs(model, installation, SPACE, digest),
        }
        assert found.isdisjoint(without.values())
    assert engine_target(model, installation, "a" * 64).to_document()["texts"] == "a" * 64


def test_the_digest_is_of_every_key_and_of_nothing_else() -> None:
    plain = {"data": {"a": "one\ntwo", "b": "three"}}
    digest = digest_of_texts(plain)
    assert digest_of_texts({**plain, "metadata": {"labels": {"x": "y"}}}) == digest
    assert digest_of_texts({"data": {"a": "one\ntwo"}, "binaryData": {"b": "dGhyZWU="}}) == digest
    others = ({"data": {"a": "one\ntwo", "c": "three"}}, {"data": {"a": "one\ntwo", "b": "three\n"}}, {})
    assert len({digest, *map(digest_of_texts, others)}) == 4


def changed(spec: dict[str, Any], settings: dict[str, Any] | None = None, **metadata: Any) -> set[str]:
    """Return which hashes differ from those of the plain model."""
    before, after = hashes(copy.deepcopy(HUB)), hashes(spec, settings, **metadata)
    return {step for step in before if before[step] != after[step]}


@pytest.mark.parametrize(
    ("spec", "steps"),
    [
        ({"source": {"huggingFace": {"repo": "a/c"}}}, {"source", "fetch"}),
        ({"source": {"huggingFace": {"repo": "a/b", "revision": "v2"}}}, {"source", "fetch"}),
        ({"source": {"huggingFace": {"repo": "a/b", "endpoint": "https://hub"}}}, {"source", "fetch"}),
        ({"source": {"persistentVolumeClaim": {"claimName": "a"}}}, {"source", "fetch"}),
        (HUB | {"embedding": {"pooling": "cls"}}, {"fetch", "export"}),
        (HUB | {"embedding": {"prompts": {}}}, {"fetch", "export"}),
        (HUB | {"engine": {"precision": "float32"}}, {"build", "engine"}),
        (HUB | {"engine": {"maxBatchTokens": 512}}, {"build", "engine"}),
        (HUB | {"engine": {"conformance": {"minimumCosine": 0.9999}}}, {"build"}),
        (HUB | GPU, {"export", "build", "engine"}),
    ],
)
def test_a_wish_names_the_steps_it_changes(spec: dict[str, Any], steps: set[str]) -> None:
    assert changed(spec) == steps


@pytest.mark.parametrize(
    "spec",
    [
        HUB | {"resources": {"limits": {"cpu": "4"}}},
        HUB | {"scaling": {"maxReplicas": 5}},
        HUB | {"serving": {"drainDelaySeconds": 1, "longInput": "Truncate", "tokenEncoding": "cl100k_base"}},
        HUB | {"serving": {"apiKeysSecretRef": {"name": "keys"}}},
        HUB | {"embedding": {"dimensions": {"default": 128, "allowed": [64]}}},
        HUB | {"engine": {"jobs": {"resources": {"limits": {"memory": "8Gi"}}}}},
        HUB | {"podTemplate": {"labels": {"a": "b"}}},
        HUB | {"servedModelNames": ["x"]},
        HUB | {"suspend": True},
        {"source": {"huggingFace": {"repo": "a/b", "tokenSecretRef": {"name": "token"}}}},
        {"source": {"huggingFace": {"repo": "a/b", "revision": "main"}}},
    ],
)
def test_other_wishes_start_nothing(spec: dict[str, Any]) -> None:
    assert changed(spec) == set()


@pytest.mark.parametrize(
    "settings",
    [
        {"images": {"server": "server:2", "exporter": "exporter:2", "gpuServer": "gpu:2"}},
        {"hub": {"endpoint": "http://mirror"}},
        {"jobs": {"export": {"resources": {"limits": {"memory": "1Gi"}}}}},
        {"installation": "other"},
    ],
)
def test_an_upgrade_starts_nothing(settings: dict[str, Any]) -> None:
    assert changed(copy.deepcopy(HUB), settings) == set()


def test_the_user_can_ask_for_the_revision_again() -> None:
    assert changed(HUB, annotations={"embedplane.io/resolve": "2"}) == {"source", "fetch"}
    assert changed(HUB, annotations={"example.com/other": "2"}) == set()


def test_hashes_are_those_of_the_first_release() -> None:
    """A changed hash would build every engine of every user anew: never change this test."""
    assert {step: text[:12] for step, text in hashes(HUB).items()} == {
        "source": "93859b9ebf47",
        "fetch": "ced8f8492e5a",
        "export": "3a5a07921395",
        "build": "d8020595b1aa",
        "engine": "90da8f6d3714",
    }


def test_an_engine_belongs_to_its_space_and_its_gpu() -> None:
    model, other = model_of(HUB | GPU), settings_of()
    profiles = {"nvidia-l4": other.accelerator_profiles["nvidia-l4"].model_dump(by_alias=True, exclude_none=True)}
    profiles["nvidia-l4"]["computeCapability"] = "9.0"

    assert engine_inputs(model, other, SPACE) != engine_inputs(model, other, "vs1-ffffffffffffffffffff")
    assert engine_inputs(model, other, SPACE) != engine_inputs(model, settings_of(acceleratorProfiles=profiles), SPACE)


def test_auto_is_openvino_on_a_cpu_and_tensorrt_on_a_gpu() -> None:
    assert engine_target(model_of(HUB), settings_of()).backend == "openvino"
    assert engine_target(model_of(HUB), settings_of()).export_format == "openvino"
    assert engine_target(model_of(HUB | GPU), settings_of()).backend == "tensorrt"
    assert engine_target(model_of(HUB | GPU), settings_of()).export_format == "onnx"


def test_an_unknown_profile_is_named_with_those_that_exist() -> None:
    model = model_of(HUB | {"accelerator": {"profile": "a100"}})

    with pytest.raises(UnknownAcceleratorError, match=r"a100 is not a profile .* \(known: nvidia-l4\).*Helm value"):
        engine_target(model, settings_of())


def test_a_gpu_s_hashes_are_what_they_were_before_profiles_said_more() -> None:
    found = hashes(HUB | GPU)

    assert found["engine"] == "163a9121d60686dda058666ef7f4dd89b1e738a342a442c90192911f517ef708"
    assert found["build"] == "78935b214ebcda96711f0c9672e89bfd566f84b099c00a5904fd62af80c997e1"


@pytest.mark.parametrize(
    "more",
    [
        {"minimumDriver": "580.95.05"},
        {"runtimeClassName": "nvidia"},
        {"sharedMemory": "1Gi"},
        {"resourceName": "nvidia.com/gpu.shared"},
        {"nodeSelector": {"example.com/pool": "spot"}},
    ],
)
def test_what_only_says_how_a_gpu_is_got_changes_no_engine(more: dict[str, Any]) -> None:
    assert hashes(HUB | GPU, {"acceleratorProfiles": {"nvidia-l4": L4 | more}}) == hashes(HUB | GPU)


@pytest.mark.parametrize("more", [{"resourceName": "nvidia.com/mig-1g.6gb"}, {"migProfile": "1g.6gb"}])
def test_a_slice_of_a_gpu_has_engines_of_its_own(more: dict[str, Any]) -> None:
    sliced, whole = hashes(HUB | GPU, {"acceleratorProfiles": {"nvidia-l4": L4 | more}}), hashes(HUB | GPU)

    assert {name for name in whole if sliced[name] != whole[name]} == {"build", "engine"}


def test_several_profiles_that_begin_with_one_have_its_hashes() -> None:
    profiles = {"acceleratorProfiles": {"nvidia-l4": L4, "other": L4 | {"gpuName": "NVIDIA L40S"}}}

    assert hashes(HUB | {"accelerator": {"profiles": ["nvidia-l4", "other"]}}, profiles) == hashes(HUB | GPU)
