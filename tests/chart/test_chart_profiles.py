"""The accelerator profiles that come with the chart."""

from pathlib import Path

import pytest
import yaml

from embedplane_operator.render.accelerator import engine_target
from embedplane_operator.render.tensorrt_llm import Exactness
from embedplane_operator.settings import Settings
from tests.chart.conftest import CHART, Helm, Rendered
from tests.support.rendering import model_of

PROFILES = sorted((CHART / "profiles").glob("*.yaml"))


def test_three_kinds_of_clusters_have_an_l4_profile(default: Rendered) -> None:
    profiles = Settings.model_validate(default.settings).accelerator_profiles

    assert {name: profile.node_selector for name, profile in profiles.items()} == {
        "nvidia-l4": {"nvidia.com/gpu.product": "NVIDIA-L4"},
        "nvidia-l4-gke": {"cloud.google.com/gke-accelerator": "nvidia-l4"},
        "nvidia-l4-karpenter": {"karpenter.k8s.aws/instance-gpu-name": "l4"},
    }
    assert {profile.compute_capability for profile in profiles.values()} == {"8.9"}


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_each_file_of_profiles_is_what_the_operator_accepts(helm: Helm, path: Path) -> None:
    named = set(yaml.safe_load(path.read_text())["acceleratorProfiles"])

    profiles = Settings.model_validate(helm.template("--values", str(path)).settings).accelerator_profiles

    assert named <= set(profiles)
    assert all(profile.node_selector and profile.tolerations for profile in profiles.values())


def test_each_kind_of_gpu_has_a_profile_wherever_it_is_offered(helm: Helm) -> None:
    files = [option for path in PROFILES for option in ("--values", str(path))]
    profiles = Settings.model_validate(helm.template(*files).settings).accelerator_profiles

    def gpus(ending: str) -> set[str]:
        return {profile.gpu_name for name, profile in profiles.items() if name.endswith(ending)}

    a100, h100 = "NVIDIA A100-SXM4-40GB", "NVIDIA H100 80GB HBM3"
    assert gpus("-gke") >= {"Tesla T4", "NVIDIA L4", a100, h100}
    assert gpus("-karpenter") == {"Tesla T4", "NVIDIA A10G", "NVIDIA L4", "NVIDIA L40S", a100, h100}
    assert gpus("-aks") == {"Tesla T4", "NVIDIA A100 80GB PCIe", "NVIDIA H100 NVL"}
    assert len({(profile.gpu_name, profile.compute_capability) for profile in profiles.values()}) == len(gpus(""))
    for name, profile in profiles.items():
        assert (profile.mig is not None) == ("g." in name), name


@pytest.mark.parametrize(("profile", "backend"), [("nvidia-t4-gke", "tensorrt"), ("nvidia-l4-gke", "tensorrt-llm")])
def test_auto_takes_tensorrt_on_a_t4(helm: Helm, profile: str, backend: str) -> None:
    settings = Settings.model_validate(helm.template("--values", str(CHART / "profiles" / "gke.yaml")).settings)
    model = model_of({"source": {"huggingFace": {"repo": "a/b"}}, "accelerator": {"profile": profile}})

    assert engine_target(model, settings, exactness=Exactness(is_exact=True, reason="bert")).backend == backend


def test_all_that_a_profile_can_say_reaches_the_operator(helm: Helm) -> None:
    more = {"runtimeClassName": "nvidia", "sharedMemory": "2Gi", "minimumDriver": "580.95", "buildProfile": "nvidia-l4"}

    settings = helm.template(acceleratorProfiles={"nvidia-l4-gke": more}).settings

    found = Settings.model_validate(settings).accelerator_profiles["nvidia-l4-gke"]
    assert found.model_dump(by_alias=True).items() >= more.items()


def test_a_profile_can_be_taken_out(helm: Helm) -> None:
    settings = helm.template(acceleratorProfiles={"nvidia-l4-gke": None}).settings

    assert set(settings["acceleratorProfiles"]) == {"nvidia-l4", "nvidia-l4-karpenter"}
