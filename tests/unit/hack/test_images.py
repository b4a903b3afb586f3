"""Keys of images, hand-written archives, and what a build is told about package registries."""

import hashlib
import json
import tarfile
from pathlib import Path

import pytest

from hack.cluster.archive import Image as Archive
from hack.cluster.archive import write_archive
from hack.images.catalog import IMAGES, Image, dependency_key, image_key
from hack.images.lockfile import locked_packages
from hack.images.registries import write_secrets
from hack.images.registry import Manifest


def an_image(source: Path) -> Image:
    return Image("thing", IMAGES[0].dockerfile, source, ("server",), gigabytes=1, minutes=1)


def test_a_changed_line_of_source_changes_the_image_and_not_its_dependencies(tmp_path: Path):
    (tmp_path / "code.py").write_text("x = 1")
    image = an_image(tmp_path)
    dependencies = dependency_key(image, "base", "")
    before = image_key(image, dependencies)
    (tmp_path / "code.py").write_text("x = 2")

    assert image_key(image, dependencies) != before
    assert dependency_key(image, "base", "") == dependencies


LOCK = """
[[package]]
name = "embedplane"
version = "1"
dependencies = [{ name = "both" }]
[package.optional-dependencies]
server = [{ name = "web", extra = ["fast"] }, { name = "numbers", version = "2" }]
operator = [{ name = "kube" }]
[package.dev-dependencies]
dev = [{ name = "linter" }]

[[package]]
name = "both"
version = "1"
[[package]]
name = "web"
version = "1"
wheels = [{ hash = "sha256:abc" }]
[package.optional-dependencies]
fast = [{ name = "loop" }]
[[package]]
name = "loop"
version = "1"
dependencies = [{ name = "web" }]
[[package]]
name = "numbers"
version = "1"
[[package]]
name = "numbers"
version = "2"
[[package]]
name = "kube"
version = "1"
[[package]]
name = "linter"
version = "1"
"""


def test_an_image_depends_on_the_packages_below_its_extras_only():
    names = [line.split()[:2] for line in locked_packages(LOCK, ["server"])]

    assert names == [["both", "1"], ["loop", "1"], ["numbers", "2"], ["web", "1"]]


def test_another_file_of_the_same_version_is_another_dependency():
    assert locked_packages(LOCK.replace("abc", "def"), ["server"]) != locked_packages(LOCK, ["server"])


def test_compiled_files_change_nothing(tmp_path: Path):
    (tmp_path / "code.py").write_text("x = 1")
    before = image_key(an_image(tmp_path), "key")
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "code.pyc").write_bytes(b"compiled")

    assert image_key(an_image(tmp_path), "key") == before


def test_a_renamed_file_changes_the_image(tmp_path: Path):
    (tmp_path / "one.py").write_text("x = 1")
    before = image_key(an_image(tmp_path), "key")
    (tmp_path / "one.py").rename(tmp_path / "two.py")

    assert image_key(an_image(tmp_path), "key") != before


def test_images_of_the_same_dependencies_may_differ_in_their_thin_layers():
    serving, changed = Manifest("a", ("base", "packages", "source")), Manifest("b", ("base", "packages", "changed"))
    imitation, anew = (Manifest("c", (*each.layers, "onnx", "imitation")) for each in (serving, changed))

    assert serving.builds_on(changed, thin_layers=1)
    assert not imitation.builds_on(anew, thin_layers=2)
    assert imitation.builds_on(anew, thin_layers=3)
    assert not imitation.builds_on(Manifest("d", ("base", "newer packages", *imitation.layers[2:])), thin_layers=3)


def test_an_index_of_torch_concerns_the_exporter_only():
    concerned = {
        image.name
        for image in IMAGES
        if dependency_key(image, "base", "") != dependency_key(image, "base", "https://wheels.example.com")
    }

    assert concerned == {"exporter"}


def test_an_archive_holds_its_files_and_links_in_one_layer(tmp_path: Path):
    program = tmp_path / "program"
    program.write_bytes(b"static")
    target = tmp_path / "image.tar"
    write_archive(
        Archive("localhost/thing:1", {"bin/program": program, "bin/sh": "program"}, ("/bin/program",)), target
    )

    with tarfile.open(target) as archive:
        manifest = json.load(archive.extractfile("manifest.json"))[0]
        layer = archive.extractfile(manifest["Layers"][0]).read()
        configuration = json.load(archive.extractfile(manifest["Config"]))
    assert manifest["RepoTags"] == ["localhost/thing:1"]
    assert configuration["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(layer).hexdigest()}"]
    (tmp_path / "layer.tar").write_bytes(layer)
    with tarfile.open(tmp_path / "layer.tar") as unpacked:
        assert unpacked.getmember("bin/program").mode == 0o755
        assert unpacked.getmember("bin/sh").linkname == "program"


def test_a_build_gets_the_index_and_certificates_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    bundle = tmp_path / "bundle.pem"
    bundle.write_text("certificates")
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    monkeypatch.setenv("PIP_INDEX_URL", "https://user:pass word@mirror.example.com/simple")
    monkeypatch.delenv("UV_DEFAULT_INDEX", raising=False)
    monkeypatch.delenv("UV_INDEX_URL", raising=False)

    secrets = write_secrets(tmp_path / "secrets", "/cache")

    settings = secrets["registry"].read_text().splitlines()
    assert "export UV_DEFAULT_INDEX='https://user:pass word@mirror.example.com/simple'" in settings
    assert "export SSL_CERT_FILE=/run/secrets/certificates" in settings
    assert "export UV_CACHE_DIR=/cache" in settings
    assert secrets["certificates"].read_text() == "certificates"
    assert (tmp_path / "secrets").stat().st_mode & 0o077 == 0
