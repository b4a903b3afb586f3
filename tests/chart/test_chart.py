"""What the chart renders, asserted on the YAML."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from embedplane_operator.render.accelerator import engine_target
from embedplane_operator.render.tensorrt_llm import Exactness
from embedplane_operator.settings import Settings
from tests.chart.conftest import CHART, Helm, Rendered
from tests.support.rendering import model_of

PROFILES = sorted((CHART / "profiles").glob("*.yaml"))
EVERYTHING: dict[str, Any] = {
    "installation": "blue",
    "watchNamespaces": ["search", "ads"],
    "images": {
        "registry": "registry.example.com/ai/",
        "pullSecrets": ["pull"],
        "server": {"digest": "sha256:" + "a" * 64},
        "exporter": {"tag": "edge"},
    },
    "hub": {"endpoint": "http://hub.example.com:8089"},
    "store": {"accessMode": "ReadWriteOnce", "storageClassName": "fast", "size": "20Gi"},
    "prometheus": {
        "url": "https://prometheus.example.com",
        "caConfigMap": {"name": "ca"},
        "bearerTokenSecret": {"name": "token"},
        "headers": {"X-Scope-OrgID": "blue"},
        "matchers": ['cluster="eu-1"'],
        "labels": {"namespace": "exported_namespace"},
    },
    "podSecurity": {"runAsUser": None, "runAsGroup": None, "fsGroup": None},
    "networkPolicy": {
        "fetchEgress": [{"to": [{"ipBlock": {"cidr": "198.18.0.0/15"}}]}],
        "telemetryEgress": [{"ports": [{"protocol": "TCP", "port": 4318}]}],
    },
    "jobs": {"maxConcurrentBuilds": 2},
    "scrapeAnnotations": False,
    "podMonitor": {"enabled": True, "labels": {"release": "monitoring"}},
    "operator": {
        "labels": {"team": "ai"},
        "annotations": {"note": "x"},
        "nodeSelector": {"pool": "system"},
        "tolerations": [{"key": "system", "operator": "Exists"}],
        "priorityClassName": "high",
    },
}


@pytest.fixture(scope="module")
def default(helm: Helm) -> Rendered:
    return helm.template()


@pytest.fixture(scope="module")
def everything(helm: Helm) -> Rendered:
    return helm.template(**EVERYTHING)


def pod_of(rendered: Rendered) -> dict[str, Any]:
    spec: dict[str, Any] = rendered.the("Deployment")["spec"]["template"]["spec"]
    return spec


def test_helm_lint_has_nothing_to_say(helm: Helm) -> None:
    assert "0 chart(s) failed" in helm.run("lint", "--strict", str(CHART))


def test_the_operator_reads_the_default_settings(default: Rendered) -> None:
    settings = Settings.model_validate(default.settings)

    assert settings.installation == "embedplane"
    assert settings.watch_namespaces == ()
    assert settings.images.server == "embedplane-server:0.1.0"
    assert settings.prometheus is None
    assert settings.hub.endpoint is None
    assert settings.store.storage_class_name is None
    assert settings.leader_election.namespace == "embedplane-system"
    assert settings.pod_security.run_as_user == 65532
    assert settings.jobs.export.resources.limits == {"memory": "8Gi"}
    assert settings.jobs.build_bound is None


def test_the_operator_reads_settings_that_say_everything(everything: Rendered) -> None:
    settings = Settings.model_validate(everything.settings)

    assert settings.installation == "blue"
    assert settings.watch_namespaces == ("search", "ads")
    assert settings.images.server == "registry.example.com/ai/embedplane-server@sha256:" + "a" * 64
    assert settings.images.exporter == "registry.example.com/ai/embedplane-exporter:edge"
    assert settings.image_pull_secrets == ("pull",)
    assert settings.hub.endpoint == "http://hub.example.com:8089"
    assert not settings.store.is_shared
    assert settings.prometheus is not None
    assert settings.prometheus.matchers == ('cluster="eu-1"',)
    assert settings.prometheus.labels.namespace == "exported_namespace"
    assert settings.prometheus.labels.vector_space == "vector_space"
    assert settings.jobs.build_bound == 2
    assert settings.pod_security.run_as_user is None
    assert not settings.scrape_annotations


def test_a_store_in_object_storage_is_what_the_operator_reads(helm: Helm) -> None:
    values = {
        "url": "s3://artifacts/embedplane",
        "endpoint": "http://objects.example.com:9000",
        "region": "eu-central-1",
        "secrets": {"jobs": "writer", "servers": "reader"},
        "serviceAccountAnnotations": {"jobs": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/writer"}},
    }
    egress = [{"ports": [{"protocol": "TCP", "port": 9000}]}]
    rendered = helm.template(store=values, networkPolicy={"storeEgress": egress})

    settings = Settings.model_validate(rendered.settings)

    assert settings.store.is_remote
    assert settings.store.is_shared
    assert (settings.store.url, settings.store.endpoint) == (values["url"], values["endpoint"])
    assert (settings.store.region, settings.store.shared) == ("eu-central-1", False)
    assert (settings.store.secrets.jobs, settings.store.secrets.servers) == ("writer", "reader")
    assert "eks.amazonaws.com/role-arn" in settings.store.service_account_annotations.jobs
    assert list(settings.network_policy.store_egress) == egress


def test_a_store_in_object_storage_needs_no_secrets_where_pods_have_identities(helm: Helm) -> None:
    identities = {"jobs": {"iam.gke.io/gcp-service-account": "writer"}, "servers": {}}
    rendered = helm.template(
        store={"url": "gs://artifacts/embedplane", "serviceAccountAnnotations": identities},
        networkPolicy={"storeEgress": [{"ports": [{"protocol": "TCP", "port": 443}]}]},
    )

    store = Settings.model_validate(rendered.settings).store

    assert (store.secrets.jobs, store.secrets.servers) == (None, None)
    assert store.service_account_annotations.jobs == identities["jobs"]


def test_prometheus_credentials_are_mounted_where_the_settings_say(everything: Rendered) -> None:
    pod, prometheus = pod_of(everything), everything.settings["prometheus"]

    mounts = {mount["name"]: mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod["volumes"]}

    assert prometheus["caFile"] == mounts["prometheus-ca"] + "/ca.crt"
    assert volumes["prometheus-ca"]["configMap"] == {"name": "ca", "items": [{"key": "ca.crt", "path": "ca.crt"}]}
    assert prometheus["bearerTokenFile"] == mounts["prometheus-token"] + "/token"
    assert volumes["prometheus-token"]["secret"]["secretName"] == "token"


def test_prometheus_credentials_can_be_files_of_the_pod(helm: Helm) -> None:
    token = "/var/run/secrets/kubernetes.io/serviceaccount/token"
    prometheus = {"url": "https://prometheus.example.com", "bearerTokenFile": token}

    assert helm.template(prometheus=prometheus).settings["prometheus"]["bearerTokenFile"] == token


def test_there_is_one_operator_and_never_two(default: Rendered) -> None:
    spec = default.the("Deployment")["spec"]

    assert spec["replicas"] == 1
    assert spec["strategy"] == {"type": "Recreate"}


def test_the_operator_runs_restricted(default: Rendered) -> None:
    pod = pod_of(default)
    [container] = pod["containers"]

    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["enableServiceLinks"] is False
    assert container["resources"]["limits"]


def test_identities_can_be_left_to_the_cluster(everything: Rendered) -> None:
    assert set(pod_of(everything)["securityContext"]) == {"runAsNonRoot", "seccompProfile"}


def test_the_operator_is_probed_at_its_health_port(default: Rendered) -> None:
    [container] = pod_of(default)["containers"]

    assert container["livenessProbe"]["httpGet"] == {"path": "/health/live", "port": "health"}
    assert container["readinessProbe"]["httpGet"] == {"path": "/health/ready", "port": "health"}
    assert {port["name"]: port["containerPort"] for port in container["ports"]} == {
        "metrics": default.settings["ports"]["metrics"],
        "health": default.settings["ports"]["health"],
    }
    assert container["args"] == ["--config", "/etc/embedplane/config.yaml"]


def test_changed_settings_restart_the_operator(helm: Helm, default: Rendered) -> None:
    def content(rendered: Rendered) -> str:
        annotations = rendered.the("Deployment")["spec"]["template"]["metadata"]["annotations"]
        return str(annotations["checksum/config"])

    assert content(helm.template()) == content(default)
    assert content(helm.template(logLevel="debug")) != content(default)


def test_the_crd_stays_when_the_release_goes(default: Rendered) -> None:
    annotations = default.the("CustomResourceDefinition")["metadata"]["annotations"]

    assert annotations["helm.sh/resource-policy"] == "keep"


def test_the_crd_can_be_left_out(helm: Helm) -> None:
    assert helm.template(crds={"enabled": False}).of_kind("CustomResourceDefinition") == []


def test_all_namespaces_need_a_cluster_role(default: Rendered) -> None:
    role = default.the("ClusterRole", "embedplane-embedplane-system")

    assert {role["metadata"]["name"] for role in default.of_kind("Role")} == {"embedplane-lease"}
    assert default.the("ClusterRoleBinding")["roleRef"]["name"] == role["metadata"]["name"]
    assert default.the("ClusterRoleBinding")["subjects"][0]["name"] == pod_of(default)["serviceAccountName"]


def test_rights_are_no_wider_than_used(default: Rendered) -> None:
    rules = default.the("ClusterRole", "embedplane-embedplane-system")["rules"]
    verbs = {resource: " ".join(rule["verbs"]) for rule in rules for resource in rule["resources"]}

    assert verbs == {
        "embeddingmodels": "get list watch",
        "embeddingmodels/status": "patch",
        "jobs": "get list watch create patch delete",
        "deployments": "get list watch create patch delete",
        "deployments/scale": "patch",
        "services": "get list watch create patch delete",
        "poddisruptionbudgets": "get create patch delete",
        "networkpolicies": "get create patch",
        "persistentvolumeclaims": "get list watch create",
        "serviceaccounts": "get create patch",
        "pods": "list watch patch",
        "events": "list create patch",
        "secrets": "get",
        "configmaps": "get",
    }


def test_only_its_own_lease_can_be_changed(default: Rendered) -> None:
    created, changed = default.the("Role", "-lease")["rules"]

    assert created == {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create"]}
    assert changed["resourceNames"] == [default.settings["leaderElection"]["name"]]
    assert changed["verbs"] == ["get", "patch"]


def test_some_namespaces_need_no_cluster_wide_rights(everything: Rendered) -> None:
    roles = {(role["metadata"]["namespace"], role["metadata"]["name"]) for role in everything.of_kind("Role")}

    assert {namespace for namespace, name in roles if not name.endswith("-lease")} == {"search", "ads"}
    assert everything.of_kind("ClusterRoleBinding") == []
    assert all(name.endswith(("-edit", "-view")) for name in names_of(everything, "ClusterRole"))


def test_two_namespaced_installations_share_no_name_and_no_identity(helm: Helm) -> None:
    blue = helm.template("--namespace", "blue", watchNamespaces=["blue"])
    green = helm.template("--namespace", "green", watchNamespaces=["green"])

    assert blue.settings["installation"] != green.settings["installation"]
    assert not names_of(blue, "ClusterRole") & names_of(green, "ClusterRole")


def test_another_release_name_is_the_same_installation(helm: Helm, default: Rendered) -> None:
    successor = helm.template("--namespace", "elsewhere", release="successor")

    assert successor.settings["installation"] == default.settings["installation"]


def test_users_get_rights_through_the_built_in_roles(default: Rendered) -> None:
    edit, view = default.the("ClusterRole", "-edit"), default.the("ClusterRole", "-view")

    assert edit["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-edit"] == "true"
    assert edit["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-admin"] == "true"
    assert view["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-view"] == "true"
    assert set(view["rules"][0]["verbs"]) == {"get", "list", "watch"}


def test_rights_can_be_given_by_someone_else(helm: Helm) -> None:
    rendered = helm.template(rbac={"create": False}, serviceAccount={"create": False, "name": "given"})

    assert not [each for each in rendered.manifests if "Role" in each["kind"] or each["kind"] == "ServiceAccount"]
    assert pod_of(rendered)["serviceAccountName"] == "given"


def test_pod_monitors_find_the_operator_and_the_servers(default: Rendered, everything: Rendered) -> None:
    assert default.of_kind("PodMonitor") == []
    operator, servers = everything.the("PodMonitor", "-operator"), everything.the("PodMonitor", "-servers")
    labels = everything.the("Deployment")["spec"]["template"]["metadata"]["labels"]

    assert operator["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert servers["spec"]["namespaceSelector"] == {"matchNames": ["search", "ads"]}
    assert servers["spec"]["selector"]["matchLabels"]["embedplane.io/installation"] == "blue"
    assert servers["metadata"]["labels"]["release"] == "monitoring"


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


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"stor": {}}, "stor"),
        ({"store": {"accessMode": "RWX"}}, "/store/accessMode"),
        ({"images": {"server": {"digest": "abc"}}}, "/images/server/digest"),
        ({"prometheus": {"url": "prometheus:9090"}}, "/prometheus/url"),
        ({"prometheus": {"matchers": ["cluster=eu"]}}, "/prometheus/matchers/0"),
        ({"acceleratorProfiles": {"a100": {"gpuName": "A100"}}}, "resourceName"),
        (
            {"acceleratorProfiles": {"nvidia-l4": {"resourceName": "gpu"}}},
            "/acceleratorProfiles/nvidia-l4/resourceName",
        ),
        (
            {"acceleratorProfiles": {"nvidia-l4": {"sharedMemory": "much"}}},
            "/acceleratorProfiles/nvidia-l4/sharedMemory",
        ),
        ({"acceleratorProfiles": {"nvidia-l4": {"buildProfile": "spare"}}}, "names spare, which is no profile"),
        (
            {"acceleratorProfiles": {"nvidia-l4": {"buildProfile": "nvidia-l4-gke", "gpuName": "NVIDIA L40S"}}},
            r"whose nodes have NVIDIA L4 \(compute capability 8.9\), and those of nvidia-l4 have NVIDIA L40S",
        ),
        ({"jobs": {"fetch": {"resources": {"limits": {"cpu": 0.5}}}}}, "/jobs/fetch/resources/limits/cpu"),
        ({"jobs": {"maxConcurrentBuilds": -1}}, "/jobs/maxConcurrentBuilds"),
        ({"serviceAccount": {"create": False}}, "serviceAccount.name"),
        ({"store": {"url": "https://objects.example.com/artifacts"}}, "/store/url"),
        ({"store": {"url": "s3://artifacts"}}, "networkPolicy.storeEgress"),
        (
            {"store": {"url": "s3://a", "secrets": {"jobs": "w"}}, "networkPolicy": {"storeEgress": [{}]}},
            "store.secrets.servers",
        ),
    ],
)
def test_wrong_values_are_refused(helm: Helm, values: dict[str, Any], said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        helm.template(**values)


def names_of(rendered: Rendered, kind: str) -> set[str]:
    return {each["metadata"]["name"] for each in rendered.of_kind(kind)}
