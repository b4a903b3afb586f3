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
        ({"images": {"server": "server:1"}}, "images.exporter: Field required"),
        ({"installation": ""}, "installation"),
    ],
)
def test_a_wrong_key_or_value_is_named(tmp_path: Path, change: dict[str, object], said: str) -> None:
    with pytest.raises(SettingsError) as error:
        load_settings(written(tmp_path, MINIMAL | change))

    assert said in str(error.value)
