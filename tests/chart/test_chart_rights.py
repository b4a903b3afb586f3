"""Who gets which rights of an installation."""

from tests.chart.conftest import Helm, Rendered, names_of, pod_of


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
