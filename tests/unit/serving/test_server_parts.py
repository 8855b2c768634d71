"""Settings, restarts, finding a SavedModel, the answer while starting: what needs no process."""

from __future__ import annotations

from pathlib import Path

import pytest

from sojourn.errors import InvalidInput, NotFound
from sojourn_serving.server.restart import Restarts
from sojourn_serving.server.settings import ServerSettings
from sojourn_serving.server.source import find
from sojourn_serving.server.starting import answer
from sojourn_serving.server.supervisor import ended, listen, url


def test_settings_survive_the_way_to_a_replica() -> None:
    settings = ServerSettings(model=Path("/m/1"), name="digits", version=2, golden=Path("/m/1/golden.npz"), replicas=3)

    assert ServerSettings.loads(settings.dumps()) == settings


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"replicas": 0}, "replicas is 0"),
        ({"max_batch": 0}, "max_batch is 0"),
        ({"grace": -1}, "grace is -1"),
        ({"port": 70000}, "port is 70000"),
        ({"name": "a/b"}, "cannot be a model's name"),
        ({"name": ""}, "cannot be a model's name"),
    ],
)
def test_settings_that_make_no_sense_are_refused(change: dict[str, object], said: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        ServerSettings(**{"model": Path("m"), "name": "digits", "version": 1, **change})  # type: ignore[arg-type]

    assert said in refused.value.message


def test_backoff_doubles_is_bounded_and_is_forgotten() -> None:
    restarts = Restarts(first=0.5, longest=30.0, stable=60.0)

    assert [restarts.delay(failures) for failures in (0, 1, 2, 3, 10, 1000)] == [0.0, 0.5, 1.0, 2.0, 30.0, 30.0]
    assert restarts.failures(3, served=None) == 4
    assert restarts.failures(3, served=59.0) == 4
    assert restarts.failures(3, served=60.0) == 0


def save(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "saved_model.pb").touch()
    return folder


def test_a_folder_of_versions_gives_the_newest(tmp_path: Path) -> None:
    save(tmp_path / "digits" / "2")
    save(tmp_path / "digits" / "10")
    (tmp_path / "digits" / "11").mkdir()

    found = find(tmp_path / "digits")

    assert (found.path, found.version) == (tmp_path / "digits" / "10", 10)


def test_a_saved_model_alone_is_version_1_and_brings_its_golden_file(tmp_path: Path) -> None:
    folder = save(tmp_path / "model")
    assert find(folder).version == 1
    assert find(folder).golden is None

    (folder / "golden.npz").touch()
    assert find(folder).golden == folder / "golden.npz"


def test_a_folder_without_a_model_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"neither saved_model\.pb nor <version>/saved_model\.pb"):
        find(tmp_path)


def test_while_starting_the_server_lives_and_is_not_ready() -> None:
    assert answer(b"GET /healthz HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 200 OK\r\n")
    for head in (b"GET /readyz HTTP/1.1\r\n\r\n", b"POST /v1/models/m:predict HTTP/1.1\r\n\r\n", b"\r\n\r\n"):
        assert answer(head).startswith(b"HTTP/1.1 503 ")


def test_a_taken_port_is_said_before_anything_is_loaded() -> None:
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        assert url(listener) == f"http://127.0.0.1:{port}"
        with pytest.raises(InvalidInput, match=f"cannot listen on 127.0.0.1 port {port}"):
            listen("127.0.0.1", port)


@pytest.mark.parametrize(("code", "said"), [(-9, "was killed by SIGKILL"), (0, "left"), (3, "failed with exit code 3")])
def test_how_a_process_ended(code: int, said: str) -> None:
    assert ended(code) == said
