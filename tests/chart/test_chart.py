"""What the chart renders of the operator and its CRD, asserted on the YAML."""

from tests.chart.conftest import CHART, Helm, Rendered, pod_of


def test_helm_lint_has_nothing_to_say(helm: Helm) -> None:
    assert "0 chart(s) failed" in helm.run("lint", "--strict", str(CHART))


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


def test_pod_monitors_find_the_operator_and_the_servers(default: Rendered, everything: Rendered) -> None:
    assert default.of_kind("PodMonitor") == []
    operator, servers = everything.the("PodMonitor", "-operator"), everything.the("PodMonitor", "-servers")
    labels = everything.the("Deployment")["spec"]["template"]["metadata"]["labels"]

    assert operator["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert servers["spec"]["namespaceSelector"] == {"matchNames": ["search", "ads"]}
    assert servers["spec"]["selector"]["matchLabels"]["embedplane.io/installation"] == "blue"
    assert servers["metadata"]["labels"]["release"] == "monitoring"
