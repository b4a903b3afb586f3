"""The user's own texts: read from a mounted ConfigMap, compared like golden ones, and told to nobody."""

import asyncio
import json
from pathlib import Path

import pytest

from embedplane_server.builders.manifest import engine_entry
from embedplane_server.errors import PermanentError, TransientError
from embedplane_server.export.manifest import export_entry, own_references_key
from embedplane_server.export.own_texts import LIMIT, digest_of_texts, read_own_texts
from embedplane_server.settings import EngineSettings, Source
from embedplane_server.store import open_store
from tests.support import wrong_engines as wrong
from tests.support.steps import Steps

SECRET = "the merger with Tannhauser is signed on Friday"


def mounted(folder: Path, **values: str) -> str:
    """Write a ConfigMap as the kubelet mounts it; return its digest."""
    content = folder / "..2026_11_23"
    content.mkdir(parents=True)
    (folder / "..data").symlink_to(content.name)
    for key, value in values.items():
        (content / key).write_bytes(value.encode())
        (folder / key).symlink_to(f"..data/{key}")
    return digest_of_texts({key: value.encode() for key, value in values.items()})


def test_each_line_that_is_not_empty_is_a_text(tmp_path):
    digest = mounted(tmp_path, b="last", a="first \u2028 still first\r\n\n   \n  third line  \n")
    assert [(own.name, own.text) for own in read_own_texts(tmp_path, digest)] == [
        ("a line 1", "first \u2028 still first"),
        ("a line 4", "  third line  "),
        ("b line 1", "last"),
    ]


def test_a_tab_parts_the_two_texts_of_a_pair(tmp_path):
    one, other = read_own_texts(tmp_path, mounted(tmp_path, a="a query\tits text\nalone"))
    assert one.for_pairs() == ("a query", "its text")
    assert other.for_pairs() == "alone"


@pytest.mark.parametrize(("lines", "count"), [(0, 0), (LIMIT + 1, LIMIT + 1)])
def test_none_and_too_many_are_refused(tmp_path, lines, count):
    digest = mounted(tmp_path, a="x\n" * lines)
    with pytest.raises(PermanentError, match=rf"textsFrom has {count} texts. Give it 1 to {LIMIT}") as caught:
        read_own_texts(tmp_path, digest)
    assert caught.value.reason == "InvalidSettings"


def test_what_is_no_text_is_named_by_its_key(tmp_path):
    (tmp_path / "image.png").write_bytes(b"\x89PNG\xff")
    with pytest.raises(PermanentError, match=r"image\.png .* is not UTF-8 text"):
        read_own_texts(tmp_path, digest_of_texts({"image.png": b"\x89PNG\xff"}))


def test_a_config_map_that_changed_meanwhile_is_left_for_the_next_job(tmp_path):
    mounted(tmp_path, a="new")
    with pytest.raises(TransientError) as caught:
        read_own_texts(tmp_path, digest_of_texts({"a": b"old"}))
    assert caught.value.reason == "TextsChanged"


@pytest.fixture(scope="module")
def steps(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    digest = mounted(folder / "texts", queries=f"{SECRET}\nhow do I return a lamp")
    model = wrong.save_small_model(folder / "small")
    engine = EngineSettings(backend="openvino", precision="float32", texts=digest)
    return Steps(f"file://{folder / 'store'}", Source(path=model), engine=engine, texts_folder=folder / "texts")


@pytest.fixture(scope="module")
def built(steps):
    fetched = steps.fetch()
    key = steps.export(fetched)
    return fetched, key, steps.build(key)


@pytest.mark.model
def test_engines_are_proven_with_them_too_and_fetches_find_such_engines(steps, built):
    _, key, engine = built
    assert engine.conformance.own_texts == 2
    assert engine.conformance.texts > 256 + 2
    again = steps.fetch()
    assert again.engine == engine
    assert again.export_keys == {"openvino": key}


@pytest.mark.model
def test_they_are_in_no_store_and_no_log_and_engines_have_not_even_their_tokens(steps, built):
    fetched, _, engine = built
    root = Path(steps.store.removeprefix("file://"))
    assert not [path for path in root.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
    assert SECRET not in steps.told.getvalue()
    own = root / export_entry(own_references_key(fetched.vector_space.id, steps.engine.texts or ""))
    (names,) = own.rglob("text-names.json")
    assert json.loads(names.read_text()) == ["queries line 1", "queries line 2"]
    engine_files = {path.name for path in (root / engine_entry(engine.key, engine.variant)).rglob("*")}
    assert "text-names.json" not in engine_files


@pytest.mark.model
def test_other_texts_need_other_references_and_another_engine_but_no_other_graph(steps, built, tmp_path, monkeypatch):
    from embedplane_server.export import reference  # noqa: PLC0415 -- torch, only for these tests

    fetched, key, engine = built
    digest = mounted(tmp_path, queries=SECRET)
    settings = steps.engine.model_copy(update={"texts": digest})
    others = Steps(steps.store, steps.source, engine=settings, texts_folder=tmp_path)
    assert others.fetch().engine is None
    assert others.fetch().export_keys == {}
    vectors = reference.vectors
    monkeypatch.setattr(reference, "vectors", lambda *arguments: -vectors(*arguments))
    assert others.export(fetched) == key
    assert "tracing" not in others.told.getvalue()
    with pytest.raises(PermanentError, match=r"Worst: queries line 1 \(\d+ tokens\) -1\.0000") as caught:
        others.build(key)
    assert caught.value.reason == "ConformanceFailed"
    assert SECRET not in caught.value.message
    assert asyncio.run(open_store(steps.store).names("engines")) == [engine.key]
