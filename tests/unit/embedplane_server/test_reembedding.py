"""`reembed`: a corpus in, parts of vectors out, each naming its space; nothing lost, nothing mixed, nothing twice."""

import asyncio
import json
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from arro3.core import Array, DataType, RecordBatch
from arro3.io import read_parquet, write_parquet

from embedplane_server.errors import PermanentError, TransientError
from embedplane_server.migration.columns import Columns
from embedplane_server.migration.reembedding import Reembedding, reembed
from embedplane_server.migration.telling import Teller
from embedplane_server.progress import Progress
from embedplane_server.scheduling.work import Lane
from tests.support.eventually import until
from tests.support.fake_engine import FIRST, LAST, SPACE, FakeEngine, FakeTokenizer
from tests.support.texts import text_of
from tests.unit.embedplane_server.migrating import application_and_endpoint, endpoint_of, jsonl, rows_of, written
from tests.unit.embedplane_server.serving import vectors_of

FATAL = "thunderstruck"
TEXTS = [text_of(1 + number % 20, start=number) if number != 23 else FATAL for number in range(45)]
OTHER = "vs1-99887766554433221100"


@pytest.fixture
def wanted(tmp_path: Path) -> Reembedding:
    corpus = jsonl(tmp_path / "corpus.jsonl", rows_of(TEXTS))
    return Reembedding(input=corpus, output=tmp_path / "vectors", part_records=10)


def teller() -> Teller:
    return Teller(Progress(StringIO()))


async def test_every_record_gets_its_vector_and_the_name_of_its_space(wanted):
    async with endpoint_of() as endpoint:
        done = await reembed(wanted, endpoint, teller())
    records = written(wanted.output)
    assert done == len(TEXTS)
    assert [record.id for record in records] == [f"doc-{number}" for number in range(len(TEXTS))]
    assert np.array_equal(np.array([each.vector for each in records], dtype=np.float32), vectors_of(TEXTS))
    lines = [json.loads(line) for line in (wanted.output / "part-000000.jsonl").read_text().splitlines()]
    assert {line["vector_space"] for line in lines} == {SPACE}
    assert max(path.name for path in wanted.output.iterdir()) == "reembedding.json"


async def test_parquet_goes_in_and_out(wanted, tmp_path):
    numbers = Array(np.arange(len(TEXTS), dtype=np.int64))
    corpus = tmp_path / "corpus.parquet"
    write_parquet(RecordBatch.from_arrays([numbers, Array(TEXTS, DataType.string())], names=["key", "body"]), corpus)
    columns = Columns(id="key", text="body")
    async with endpoint_of() as endpoint:
        await reembed(replace(wanted, input=corpus, columns=columns), endpoint, teller())
    part = read_parquet(wanted.output / "part-000004.parquet")
    assert part.schema.field("embedding").type.list_size == 8
    assert part.schema.metadata_str["vector_space"] == SPACE
    table = part.read_all()
    assert table.column("key").to_pylist() == [40, 41, 42, 43, 44]
    vectors = np.array(table.column("embedding").to_pylist(), dtype=np.float32)
    assert np.array_equal(vectors, vectors_of(TEXTS[40:]))


async def test_a_run_goes_on_where_the_last_one_stopped(wanted):
    broken, mended = FakeEngine(), FakeEngine()
    broken.fails_on = set(FakeTokenizer().encode([FATAL])[0]) - {FIRST, LAST}
    async with endpoint_of(broken, patience=0) as endpoint:
        with pytest.raises(TransientError, match="run the command again to go on"):
            await reembed(wanted, endpoint, teller())
    assert len(written(wanted.output)) == 20
    async with endpoint_of(mended) as endpoint:
        done = await reembed(wanted, endpoint, teller())
    assert done == len(written(wanted.output)) == len(TEXTS)
    embedded = {tuple(ids) for batch in mended.batches for ids in batch.token_ids}
    assert embedded == {tuple(ids) for ids in FakeTokenizer().encode(TEXTS[20:])}


async def test_a_part_that_was_half_written_is_written_again(wanted):
    wanted.output.mkdir()
    (wanted.output / ".part-000000.jsonl.aside").write_text('{"id": "doc-0", "embedd')
    async with endpoint_of() as endpoint:
        await reembed(wanted, endpoint, teller())
    assert len(written(wanted.output)) == len(TEXTS)
    assert not list(wanted.output.glob(".*"))


async def test_vectors_of_another_space_are_not_added(wanted):
    async with endpoint_of() as endpoint:
        await reembed(wanted, endpoint, teller())
    (wanted.output / "part-000004.jsonl").unlink()
    async with endpoint_of(space=OTHER) as endpoint:
        with pytest.raises(PermanentError, match=f"its vectorSpace is {SPACE}, not {OTHER}. Choose another folder"):
            await reembed(wanted, endpoint, teller())
    assert len(written(wanted.output)) == 40


async def test_a_server_that_changes_its_space_on_the_way_ends_the_run(wanted):
    async with endpoint_of(space=OTHER) as endpoint:
        with pytest.raises(PermanentError, match=r"412: .*its vectors are not mixed"):
            await endpoint.embed(["a text"], SPACE, "document", truncate=False)


async def test_the_expected_space_is_held_against_what_is_served(wanted):
    async with endpoint_of() as endpoint:
        with pytest.raises(PermanentError, match=f"serves the vector space {SPACE}, not {OTHER}"):
            await reembed(replace(wanted, space=OTHER), endpoint, teller())
    assert not wanted.output.exists()


async def test_another_input_does_not_go_into_the_same_folder(wanted):
    async with endpoint_of() as endpoint:
        await reembed(wanted, endpoint, teller())
        jsonl(wanted.input, rows_of([*TEXTS, "one more"]))
        with pytest.raises(PermanentError, match="its inputBytes is"):
            await reembed(wanted, endpoint, teller())


async def test_a_busy_server_is_waited_for(wanted):
    engine, waits = FakeEngine(), []
    engine.hold()
    async with application_and_endpoint(engine, waits=waits, max_queued_tokens=256) as (application, endpoint):
        fillings = [endpoint.embed(["word " * 60] * 2, SPACE, "query", truncate=False) for _ in range(4)]
        filling = [asyncio.create_task(each) for each in fillings]
        await until(lambda: application.scheduler.queued(Lane.INTERACTIVE).tokens > 200)
        waits.clear()
        run = asyncio.create_task(reembed(wanted, endpoint, teller()))
        await until(lambda: bool(waits))
        engine.release()
        await asyncio.gather(run, *filling)
    assert len(written(wanted.output)) == len(TEXTS)
    assert any("429" in why for why in waits)


async def test_requests_go_in_the_bulk_lane(wanted):
    engine = FakeEngine()
    engine.hold()
    async with application_and_endpoint(engine) as (application, endpoint):
        run = asyncio.create_task(reembed(replace(wanted, part_records=len(TEXTS)), endpoint, teller()))
        await asyncio.to_thread(engine.wait_until_busy)
        waiting = {lane: application.scheduler.queued(lane).inputs for lane in Lane}
        engine.release()
        await run
    assert waiting[Lane.BULK] > 0
    assert waiting[Lane.INTERACTIVE] == 0


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"id": "a", "text": "one"}, {"id": "b", "text": ""}], r"record 2 \(id 'b'\) has no text"),
        ([{"id": "a", "text": "one"}, {"id": "b"}], r"record 2 \(id 'b'\) has no text"),
        ([{"text": "one"}], "record 1 of .* has no string or whole number as its id. Name the field: --id-field"),
        ([{"id": 1, "text": "one"}, {"id": "b", "text": "two"}], "record 2 of .* has another kind of id"),
        ([{"id": 1, "text": ["one"]}], "record 1 of .* has no string as its text. Name the field: --text-field"),
    ],
)
async def test_a_record_that_cannot_be_embedded_is_named(wanted, rows, message):
    jsonl(wanted.input, rows)
    async with endpoint_of() as endpoint:
        with pytest.raises(PermanentError, match=message):
            await reembed(wanted, endpoint, teller())


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b'{"id": 1, "text": "one"}\n{"id": 2,', "line 2 of .* is not JSON"),
        ("a.jsonl", b"[1]\n", "line 1 of .* is not an object"),
        ("a.txt", b"one\n\xff\xfe\n", "is not UTF-8"),
        ("a.parquet", b"PAR1", "cannot be read as Parquet"),
        ("a.csv", b"id,text\n", "is neither .jsonl, .parquet nor .txt"),
    ],
)
async def test_a_file_that_cannot_be_read_is_named(wanted, tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    async with endpoint_of() as endpoint:
        with pytest.raises(PermanentError, match=message):
            await reembed(replace(wanted, input=tmp_path / name), endpoint, teller())


async def test_an_input_that_is_not_there_claims_no_folder(wanted, tmp_path):
    async with endpoint_of() as endpoint:
        with pytest.raises(PermanentError, match="is not a file"):
            await reembed(replace(wanted, input=tmp_path / "missing.jsonl"), endpoint, teller())
    assert not wanted.output.exists()


async def test_a_long_text_is_refused_in_the_servers_words_unless_it_may_be_cut(wanted):
    jsonl(wanted.input, rows_of(["word " * 100]))
    async with endpoint_of() as endpoint:
        with pytest.raises(PermanentError, match="maximum context length"):
            await reembed(wanted, endpoint, teller())
        done = await reembed(replace(wanted, truncate=True, output=wanted.output / "cut"), endpoint, teller())
    assert done == 1


async def test_documents_get_the_models_prompt_for_documents(wanted):
    async with endpoint_of(model={"prompts": {"document": "passage: ", "query": "query: "}}) as endpoint:
        await reembed(wanted, endpoint, teller())
    vectors = np.array([each.vector for each in written(wanted.output)], dtype=np.float32)
    assert np.array_equal(vectors, vectors_of([f"passage: {text}" for text in TEXTS]))


async def test_what_was_done_is_told_and_counted(wanted):
    told = StringIO()
    counting = Teller(Progress(told))
    async with endpoint_of() as endpoint:
        await reembed(wanted, endpoint, counting)
        await reembed(wanted, endpoint, counting)
    value = counting.registry.get_sample_value
    tokens = sum(len(ids) for ids in FakeTokenizer().encode(TEXTS))
    assert value("embedplane_reembedding_records_total") == len(TEXTS)
    assert value("embedplane_reembedding_tokens_total") == tokens
    assert value("embedplane_reembedding_held_records") == len(TEXTS)
    assert "part 4: 5 records" in told.getvalue()
    assert f"{len(TEXTS)} records are there from an earlier run" in told.getvalue()


async def test_a_key_that_is_wanted_is_asked_for(wanted, tmp_path):
    (tmp_path / "keys").write_text("open-sesame")
    settings = {"api_keys_files": (tmp_path / "keys",)}
    async with endpoint_of(**settings) as endpoint:
        with pytest.raises(PermanentError, match=r"401: .*Give a key: --api-key-file"):
            await endpoint.embed(["a text"], SPACE, "document", truncate=False)
    async with endpoint_of(key="open-sesame", **settings) as endpoint:
        assert await reembed(wanted, endpoint, teller()) == len(TEXTS)
