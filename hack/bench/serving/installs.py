"""What the benchmark needs beyond the checkout's own environment: a peer's packages, texts and a second model.

Everything comes from PyPI through uv, pinned, once, into a cache folder; a marker file says that a part is complete.
"""

import platform
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from zlib import crc32

from hack.cluster.layout import Layout
from hack.provision import mpnet as weights
from hack.provision.entries import run, uv

INFINITY = "0.0.78"
INFINITY_PACKAGES = ("torch==2.13.0", f"infinity-emb[torch,server,optimum,onnxruntime-cpu]=={INFINITY}")
GENSIM = "gensim==4.4.0"

# With a local folder infinity passes the whole path where its library compares bare names, and does not start.
OPTIMUM_FILE = "infinity_emb/transformer/embedder/optimum.py"
OPTIMUM_FAULT, OPTIMUM_CURE = "file_name=onnx_file.as_posix()", "file_name=onnx_file.name"


def cache() -> Path:
    """Return the folder in which the benchmark keeps what it needs another time."""
    return Layout.of_environment().cache / "bench"


def once(name: str, make: Callable[[Path], None]) -> Path:
    """Return the folder of a part, made by `make` unless an earlier run completed it."""
    folder = cache() / name
    if not (folder / ".complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        print(f"bench: preparing {name}", flush=True)
        make(folder)
        (folder / ".complete").touch()
    return folder


def infinity() -> Path:
    """Return the Python of infinity's own environment: the same build as ours, because builds differ by a third."""
    build = f"python{platform.python_version()}-{crc32(sys.base_prefix.encode()):08x}"
    return once(f"infinity-{INFINITY}-{build}", _install_infinity) / "bin" / "python"


def news() -> list[str]:
    """Return real English news texts: gensim's test data."""
    folder = once("gensim", _install_news) / "gensim" / "test" / "test_data"
    lines = (folder / name for name in ("lee_background.cor", "lee.cor"))
    return [line for path in lines for line in path.read_text(encoding="latin-1").splitlines() if line]


def mpnet() -> Path:
    """Return the folder of all-mpnet-base-v2."""
    weights.provide()
    return weights.model_folder()


def _install_infinity(folder: Path) -> None:
    _uv("venv", "--quiet", "--clear", "--python", sys.executable, str(folder))
    _uv("pip", "install", "--quiet", "--python", str(folder / "bin" / "python"), *INFINITY_PACKAGES)
    (path,) = folder.glob(f"lib/*/site-packages/{OPTIMUM_FILE}")
    source = path.read_text(encoding="utf-8")
    assert OPTIMUM_FAULT in source, f"{path} is not as expected; look whether it still needs the patch"
    path.unlink()  # uv links files from its cache
    path.write_text(source.replace(OPTIMUM_FAULT, OPTIMUM_CURE), encoding="utf-8")


def _install_news(folder: Path) -> None:
    _uv("pip", "install", "--quiet", "--no-deps", "--target", str(folder), GENSIM)


def _uv(*arguments: str) -> None:
    run(uv(), *arguments)
