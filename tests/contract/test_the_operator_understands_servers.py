"""What a server without an engine says as its last word, the operator acts on."""

import pytest

from embedplane_operator.kinds import Manifest
from embedplane_operator.pending import PodSurroundings
from embedplane_operator.render.deployment import render_deployment
from embedplane_operator.servers import Servers, read_servers
from embedplane_operator.troubles import Trouble
from embedplane_server.errors import EngineCorrupt, EngineIncompatible, EngineMissing, StepError, VectorDrift
from embedplane_server.termination import error_message
from tests.support.rendering import model_of, resolved, settings_of

KEY = resolved().engine.key


def servers_after(error: StepError) -> Servers:
    """What the operator reads from the pod of a server that ended with this."""
    ended = {"exitCode": error.exit_code, "message": error_message(error), "finishedAt": "2026-11-23T12:00:00Z"}
    container = {"name": "server", "ready": False, "lastState": {"terminated": ended}}
    pod: Manifest = {"metadata": {"name": "x"}, "status": {"phase": "Running", "containerStatuses": [container]}}
    model = model_of({"source": {"huggingFace": {"repo": "a/b"}}})
    deployment = render_deployment(model, settings_of(), resolved())
    return read_servers(deployment, PodSurroundings([pod]))


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
    assert [(lack.reason, lack.machine) for lack in servers_after(error).lacks] == understood


@pytest.mark.parametrize("while_running", [True, False])
def test_a_server_whose_vectors_drifted_is_understood(while_running: bool) -> None:
    servers = servers_after(VectorDrift("a cosine of 0.2", while_running=while_running))
    assert servers.drifts == ("pod x on node unknown: a cosine of 0.2",)
    assert servers.trouble == Trouble("VectorDrift", "a cosine of 0.2", transient=while_running)
