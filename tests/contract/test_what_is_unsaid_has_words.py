"""Whatever a fetch names as unsaid, the operator has words for, and the documentation a row."""

import re
from pathlib import Path

from embedplane_operator.api.conditions import UnsaidReason
from embedplane_operator.api.status import VectorSpaceStatus
from embedplane_operator.decide.unsaid import incomplete_description
from embedplane_server.model import unsaid
from embedplane_server.model.unsaid import Unsaid
from embedplane_server.results import vector_space_result
from embedplane_server.termination import LIMIT_BYTES, result_message
from tests.contract.test_results_become_status import MANIFESTS, fetched

ROOT = Path(__file__).parents[2]
NAMES = sorted(set(re.findall(r'Unsaid\(\s*"(\w+)"', Path(unsaid.__file__).read_text(encoding="utf-8"))))


def test_both_sides_and_the_documentation_know_the_same_names() -> None:
    documented = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "vector-space.md").read_text("utf-8"), re.MULTILINE)
    assert sorted(UnsaidReason) == NAMES
    assert set(NAMES) <= set(documented)


def test_all_of_them_together_become_one_condition_and_fit_into_a_termination_message() -> None:
    manifest = MANIFESTS["embedding"]
    found = [Unsaid(name, "words") for name in NAMES]
    result = fetched(manifest).model_copy(update={"vector_space": vector_space_result(manifest.description, found)})
    document = result.as_document()
    assert len(result_message(document).encode()) <= LIMIT_BYTES

    finding = incomplete_description(VectorSpaceStatus.model_validate({**document["vectorSpace"], "inputs": "i"}))
    assert finding is not None
    assert finding.reason == NAMES[0]
    assert not any(name in finding.message for name in NAMES)
