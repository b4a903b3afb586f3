"""TensorRT-LLM 1.2.1 as far as Embedplane calls it: its signatures, and an encoder that torch computes on the CPU.

The folder `faked` goes before everything else on the path, so that `import tensorrt_llm` and `trtllm-build` find it.
What the fakes take and refuse is what the real ones' source does: other parameters, names, types or sizes fail.
"""

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PLACE = Path(__file__).parent / "faked"
_FAKED = ("tensorrt", "tensorrt_llm")


class NoStream:
    """The stream of a CPU: everything is done when it returns."""

    handle = 0

    def wait(self) -> None:
        pass


@contextmanager
def fake_tensorrt_llm(commands: Path) -> Iterator[None]:
    """Put the fakes where the real ones would be; `commands` is an empty folder for `trtllm-build`."""
    script = commands / "trtllm-build"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m tensorrt_llm.commands.build "$@"\n')
    script.chmod(0o755)
    before = {name: os.environ.get(name) for name in ("PATH", "PYTHONPATH")}
    root = Path(__file__).parents[3]
    os.environ["PATH"] = f"{commands}{os.pathsep}{before['PATH']}"
    os.environ["PYTHONPATH"] = os.pathsep.join([str(PLACE), str(root)])
    sys.path.insert(0, str(PLACE))
    hidden = _forget()
    try:
        yield
    finally:
        sys.path.remove(str(PLACE))
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.__setitem__(name, value)
        _forget()
        sys.modules.update(hidden)


def _forget() -> dict[str, object]:
    """Take the modules out of Python's memory, and return them."""
    importlib.invalidate_caches()
    names = [name for name in sys.modules if name.split(".")[0] in _FAKED]
    return {name: sys.modules.pop(name) for name in names}
