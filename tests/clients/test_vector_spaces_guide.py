"""The programs of docs/vector-spaces.md run as they stand there, in the clients' environment, against a real server."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from hack.provision import clients
from tests.clients.running import environment

pytestmark = pytest.mark.provisioned

GUIDE = Path(__file__).parents[2] / "docs" / "vector-spaces.md"
ENDPOINT = "http://minilm.search/v1"


FURTHER = """
import json

def words_of(doing):
    try:
        doing()
    except Exception as error:
        return str(error)

told = {
    "space": space,
    "lengths": [len(vector) for vector in vectors],
    "langchain": words_of(
        lambda: OpenAIEmbeddings(
            model="minilm", base_url=URL, api_key="x", check_embedding_ctx_length=False,
            default_headers={SPACE: "vs1-ffffffffffffffffffff"},
        ).embed_query("x")
    ),
    "mixed": words_of(lambda: check(upserts[0], "vs1-ffffffffffffffffffff")),
}
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def told(server: str) -> dict[str, Any]:
    """Run all programs in one process, one after the other, and return what they leave."""
    program = "\n".join(re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL))
    assert program.count(ENDPOINT) == 1
    command = [clients.program("python"), "-c", program.replace(ENDPOINT, f"{server}/v1") + FURTHER]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


def test_the_programs_of_the_guide_run_one_after_the_other(told, made):
    assert (told["space"], told["lengths"]) == (made[0].vector_space.id, [384, 384])


def test_langchain_that_demands_another_space_gets_no_vector(told):
    assert "412" in told["langchain"]
    assert "cannot be compared" in told["langchain"]


def test_the_guide_refuses_to_mix(told):
    assert re.search("vs1-.* lies in vs1-.*, not in vs1-ffffffffffffffffffff", told["mixed"])
