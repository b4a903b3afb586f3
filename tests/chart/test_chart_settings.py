"""The settings that the chart writes are what the operator reads."""

from typing import Any

import pytest

from embedplane_operator.settings import Settings
from tests.chart.conftest import Helm, Rendered, pod_of


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
