"""The settings file: what is wrong in it is named with its file, key and remedy."""

from pathlib import Path

import pytest
import yaml

from embedplane_operator.settings import SettingsError, load_settings
from tests.support.rendering import L4

MINIMAL = {
    "installation": "embedplane",
    "images": {"server": "server:1", "exporter": "exporter:1", "gpuServer": "gpu:1"},
    "leaderElection": {"namespace": "embedplane-system"},
}


def written(folder: Path, document: object) -> Path:
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def test_a_minimal_file_gets_defaults(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path, MINIMAL))

    assert settings.watch_namespaces == ()
    assert settings.store.is_shared
    assert settings.prometheus is None
    assert settings.ports.health == 8081
    assert settings.pod_security.fs_group == 65532


def test_profiles_keep_what_their_nodes_need(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path, MINIMAL | {"acceleratorProfiles": {"nvidia-l4": L4}}))

    profile = settings.accelerator_profiles["nvidia-l4"]

    assert profile.node_selector == {"nvidia.com/gpu.product": "NVIDIA-L4"}
    assert profile.tolerations[0].key == "nvidia.com/gpu"


@pytest.mark.parametrize(
    ("resource", "more", "slice_of_it"),
    [
        ("nvidia.com/gpu", {}, None),
        ("nvidia.com/gpu.shared", {}, None),
        ("nvidia.com/gpu", {"migProfile": "1g.5gb"}, "1g.5gb"),
        ("nvidia.com/mig-1g.10gb", {}, "1g.10gb"),
        ("nvidia.com/mig-1g.10gb", {"migProfile": "1g.10gb"}, "1g.10gb"),
        ("nvidia.com/mig-1g.10gb.me", {}, "1g.10gb.me"),
        ("nvidia.com/mig-3g.20gb.shared", {}, "3g.20gb"),
    ],
)
def test_a_resource_says_whether_it_is_a_slice_of_a_gpu(
    tmp_path: Path, resource: str, more: dict[str, str], slice_of_it: str | None
) -> None:
    document = MINIMAL | {"acceleratorProfiles": {"x": L4 | {"resourceName": resource} | more}}

    assert load_settings(written(tmp_path, document)).accelerator_profiles["x"].mig == slice_of_it


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nowhere\.yaml: cannot be read .* --config"):
        load_settings(tmp_path / "nowhere.yaml")


def test_a_file_that_is_not_yaml_is_named(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("installation: [")

    with pytest.raises(SettingsError, match="is not YAML"):
        load_settings(path)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="the file"):
        load_settings(written(tmp_path, None))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"stor": {}}, "stor is not a known key"),
        ({"store": {"size": "1Gi", "class": "x"}}, "store.class is not a known key"),
        ({"store": {"accessMode": "RWX"}}, "store.accessMode"),
        ({"prometheus": {"url": "prometheus:9090"}}, "prometheus.url"),
        ({"prometheus": {"url": "http://p", "matchers": ["cluster=eu"]}}, "prometheus.matchers.0"),
        ({"acceleratorProfiles": {"l4": L4 | {"tolerations": [{"efect": "NoSchedule"}]}}}, "efect is not a known key"),
        ({"acceleratorProfiles": {"l4": L4 | {"resourceName": "gpu"}}}, "acceleratorProfiles.l4.resourceName"),
        ({"acceleratorProfiles": {"l4": L4 | {"minimumDriver": "r580"}}}, "acceleratorProfiles.l4.minimumDriver"),
        (
            {"acceleratorProfiles": {"l4": L4 | {"resourceName": "nvidia.com/mig-1g.6gb", "migProfile": "2g.12gb"}}},
            "acceleratorProfiles.l4.migProfile: Value error, resourceName is of 1g.6gb: remove migProfile",
        ),
        (
            {"acceleratorProfiles": {"l4": L4 | {"buildProfile": "spare"}}},
            "acceleratorProfiles: Value error, l4.buildProfile names spare, which is no profile",
        ),
        (
            {"acceleratorProfiles": {"l4": L4 | {"buildProfile": "s"}, "s": L4 | {"gpuName": "NVIDIA L40S"}}},
            "whose nodes have NVIDIA L40S (compute capability 8.9), and those of l4 have NVIDIA L4",
        ),
        (
            {"acceleratorProfiles": {"l4": L4, "s": L4 | {"buildProfile": "l4", "migProfile": "1g.6gb"}}},
            "and those of s have 1g.6gb of NVIDIA L4 (compute capability 8.9): an engine runs on the kind of GPU that",
        ),
        ({"images": {"server": "server:1"}}, "images.exporter: Field required"),
        ({"installation": ""}, "installation"),
    ],
)
def test_a_wrong_key_or_value_is_named(tmp_path: Path, change: dict[str, object], said: str) -> None:
    with pytest.raises(SettingsError) as error:
        load_settings(written(tmp_path, MINIMAL | change))

    assert said in str(error.value)
