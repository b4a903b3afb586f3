"""What is made once for the tests is complete or not there, and says how to make it."""

import pytest

from hack.cluster.progress import SetupError
from hack.provision.entries import entry, existing, make_once


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EMBEDPLANE_CACHE", str(tmp_path))
    return tmp_path


def test_a_folder_is_filled_once():
    folder, made = entry("things", "one"), []
    for _ in range(2):
        make_once(folder, "making things", lambda place: made.append(place))
    assert made == [folder]
    assert existing(folder, "Things") == folder


def test_what_is_missing_names_the_command_that_makes_it():
    with pytest.raises(SetupError, match=r"Things are not here .*python -m hack\.provision"):
        existing(entry("things", "one"), "Things")


def test_a_folder_that_was_left_half_made_is_made_again():
    folder = entry("things", "one")

    def fail(place):
        (place / "half").touch()
        raise SetupError("no network")

    with pytest.raises(SetupError, match="no network"):
        make_once(folder, "making things", fail)
    with pytest.raises(SetupError, match="are not here"):
        existing(folder, "Things")
    make_once(folder, "making things", lambda place: (place / "whole").touch())
    assert {path.name for path in folder.iterdir()} == {".complete", "whole"}


def test_another_description_is_another_folder_in_the_place_of_the_former(cache):
    for description in ("one", "two"):
        make_once(entry("things", description), "making things", lambda place: None)
    assert list((cache / "things").iterdir()) == [entry("things", "two")]
