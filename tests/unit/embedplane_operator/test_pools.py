"""The accelerator profile of a pod is read back from what the pod asks for."""

import pytest

from embedplane_operator.render.build_job import render_build_job
from embedplane_operator.render.pools import profile_of_pod
from tests.support.rendering import L4, model_of, request_for, settings_of

SPOT = L4 | {"nodeSelector": {**L4["nodeSelector"], "cloud.google.com/gke-spot": "true"}}
SLICE = L4 | {"resourceName": "nvidia.com/gpu.shared"}
SETTINGS = settings_of(acceleratorProfiles={"nvidia-l4": L4, "spot": SPOT, "slice": SLICE})


@pytest.mark.parametrize("profile", ["nvidia-l4", "spot", "slice", None])
def test_a_build_tells_its_profile(profile: str | None) -> None:
    accelerator = {"accelerator": {"profile": profile}} if profile else {}
    own = {"podTemplate": {"nodeSelector": {"zone": "a"}}}
    model = model_of({"source": {"huggingFace": {"repo": "a/b"}}, **accelerator, **own})

    job = render_build_job(model, SETTINGS, request_for(model, "1" * 64), "export-key")

    assert profile_of_pod(job["spec"]["template"]["spec"], SETTINGS.accelerator_profiles) == profile
