"""The cluster's own certificate authorities, certificates and kubeconfigs. What exists is kept."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from hack.cluster.layout import API_SERVER, API_SERVICE, CONTEXT, CONTROL_PLANE, NODES, Layout
from hack.cluster.progress import SetupError

YEARS = "3650"


@dataclass(frozen=True)
class Certificate:
    """One key pair signed by an authority of ours."""

    name: str
    subject: str
    alternative_names: str
    authority: str = "ca"


def _certificates() -> list[Certificate]:
    in_cluster = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local")
    server_names = ",".join([f"DNS:{name}" for name in (*in_cluster, "localhost")])
    addresses = f"IP:127.0.0.1,IP:{API_SERVICE},IP:{CONTROL_PLANE.address}"
    kubelets = [
        Certificate(
            f"kubelet-{node.name}",
            f"/O=system:nodes/CN=system:node:{node.name}",
            f"DNS:{node.name},IP:{node.address},IP:127.0.0.1",
        )
        for node in NODES
    ]
    return [
        Certificate("apiserver", "/CN=kube-apiserver", f"{server_names},{addresses}"),
        Certificate("admin", "/O=system:masters/CN=admin", "DNS:admin"),
        Certificate("aggregator", "/CN=aggregator", "DNS:aggregator", authority="front"),
        *kubelets,
    ]


def ensure_certificates(layout: Layout) -> None:
    """Make what is missing of authorities, certificates, the token signing key and the kubeconfigs."""
    folder = layout.certificates
    folder.mkdir(parents=True, exist_ok=True)
    _authority(folder, "ca", "kubernetes")
    _authority(folder, "front", "front-proxy")
    if not (folder / "sa.pub").exists():
        _openssl(folder, "genrsa", "-out", "sa.key", "2048")
        _openssl(folder, "rsa", "-in", "sa.key", "-pubout", "-out", "sa.pub")
    for certificate in _certificates():
        _sign(folder, certificate)
    _kubeconfig(layout, layout.kubeconfig, "admin")
    for node in NODES:
        layout.node(node).mkdir(exist_ok=True)
        _kubeconfig(layout, layout.node(node) / "kubeconfig", f"kubelet-{node.name}")


def _authority(folder: Path, name: str, common_name: str) -> None:
    if (folder / f"{name}.crt").exists():
        return
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    where = ("-keyout", f"{name}.key", "-out", f"{name}.crt")
    _openssl(folder, "req", "-x509", *curve, "-subj", f"/CN={common_name}", "-days", YEARS, *where)


def _sign(folder: Path, wanted: Certificate) -> None:
    if (folder / f"{wanted.name}.crt").exists():
        return
    request, extensions = folder / f"{wanted.name}.csr", folder / f"{wanted.name}.ext"
    extensions.write_text(f"subjectAltName={wanted.alternative_names}\nextendedKeyUsage=serverAuth,clientAuth\n")
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    _openssl(
        folder, "req", "-new", *curve, "-subj", wanted.subject, "-keyout", f"{wanted.name}.key", "-out", request.name
    )
    signer = ("-CA", f"{wanted.authority}.crt", "-CAkey", f"{wanted.authority}.key", "-CAcreateserial", "-days", YEARS)
    _openssl(
        folder, "x509", "-req", "-in", request.name, *signer, "-extfile", extensions.name, "-out", f"{wanted.name}.crt"
    )
    request.unlink()
    extensions.unlink()


def _kubeconfig(layout: Layout, target: Path, user: str) -> None:
    keys = layout.certificates
    authority = str(keys / "ca.crt")
    credentials = {"client-certificate": str(keys / f"{user}.crt"), "client-key": str(keys / f"{user}.key")}
    configuration = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": CONTEXT, "cluster": {"server": API_SERVER, "certificate-authority": authority}}],
        "users": [{"name": user, "user": credentials}],
        "contexts": [{"name": CONTEXT, "context": {"cluster": CONTEXT, "user": user}}],
        "current-context": CONTEXT,
    }
    target.write_text(json.dumps(configuration, indent=1))  # JSON is YAML
    target.chmod(0o600)


def _openssl(folder: Path, *arguments: str) -> None:
    done = subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SetupError(f"openssl {' '.join(arguments)} failed in {folder}: {done.stderr.strip()}")
