"""What a server without an engine says as its last word, the operator acts on."""

import pytest

from embedplane_operator.api.repair import Lack
from embedplane_operator.kinds import Manifest
from embedplane_operator.render.deployment import render_deployment
from embedplane_operator.servers import ServerSurroundings, read_servers
from embedplane_server.errors import EngineCorrupt, EngineIncompatible, EngineMissing, StepError
from embedplane_server.termination import error_message
from tests.support.rendering import model_of, resolved, settings_of

KEY = resolved().engine.key


def lacks_after(error: StepError) -> list[tuple[str, str]]:
    """Reason and machine of what the operator reads from the pod of a server that ended with this."""
    ended = {"exitCode": error.exit_code, "message": error_message(error), "finishedAt": "2026-11-23T12:00:00Z"}
    container = {"name": "server", "ready": False, "lastState": {"terminated": ended}}
    pod: Manifest = {"metadata": {"name": "x"}, "status": {"phase": "Running", "containerStatuses": [container]}}
    model = model_of({"source": {"huggingFace": {"repo": "a/b"}}})
    deployment = render_deployment(model, settings_of(), resolved())
    found: tuple[Lack, ...] = read_servers(deployment, ServerSurroundings([pod])).lacks
    return [(lack.reason, lack.machine) for lack in found]


@pytest.mark.parametrize(
    ("error", "understood"),
    [
        (EngineMissing("gone", KEY), [("EngineMissing", "")]),
        (EngineCorrupt("damaged", KEY), [("EngineCorrupt", "")]),
        (EngineIncompatible("other machines only", KEY, "x86-64-avx2"), [("EngineIncompatible", "x86-64-avx2")]),
        (EngineMissing("another engine, of an earlier pod", "en1-0"), []),
    ],
)
def test_a_server_without_an_engine_is_understood(error: StepError, understood: list[tuple[str, str]]) -> None:
    assert lacks_after(error) == understood
