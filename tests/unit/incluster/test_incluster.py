"""The client of one object, against a real HTTP server that behaves as API servers do on bad days."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from helpers.object_server import ObjectServer, serve_object
from sojourn.errors import InvalidInput
from sojourn.incluster import ApiError, ApiServer, ApiUnavailable, Conflict, ObjectClient, ObjectGone, ObjectRef, follow
from sojourn.incluster import in_cluster as find_server

REF = ObjectRef("trainingattempts", "digits-1", "team")
PAUSES = (0.0,)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[ObjectServer, ApiServer]]:
    with serve_object(tmp_path, REF, {"spec": {"number": 1}}) as served:
        yield served


def test_get_and_patch(served: tuple[ObjectServer, ApiServer]) -> None:
    server, address = served
    client = ObjectClient(address, REF)
    assert client.get()["spec"] == {"number": 1}
    assert client.patch_status({"phase": "Running", "step": 3})["status"] == {"phase": "Running", "step": 3}
    assert client.patch_status({"phase": None, "epoch": 0})["status"] == {"step": 3, "epoch": 0}
    path = "/apis/sojourn.dev/v1alpha1/namespaces/team/trainingattempts/digits-1"
    assert [(method, asked) for method, asked, _ in server.requests[:2]] == [("GET", path), ("PATCH", f"{path}/status")]


def test_a_patch_based_on_an_older_version_is_refused(served: tuple[ObjectServer, ApiServer]) -> None:
    _, address = served
    client = ObjectClient(address, REF)
    version = client.get()["metadata"]["resourceVersion"]
    client.patch_status({"step": 1}, version)
    with pytest.raises(Conflict):
        client.patch_status({"step": 2}, version)


def test_a_rotated_token_is_used_at_once(served: tuple[ObjectServer, ApiServer]) -> None:
    server, address = served
    client = ObjectClient(address, REF)
    client.get()
    address.token.write_text("second\n")
    client.get()
    assert [authorization for _, _, authorization in server.requests] == ["Bearer first", "Bearer second"]
    address.token.unlink()
    with pytest.raises(ApiError, match="token"):
        client.get()


@pytest.mark.parametrize(
    ("status", "kind"), [(404, ObjectGone), (403, ApiError), (503, ApiUnavailable), (429, ApiUnavailable)]
)
def test_refusals_say_what_to_do(served: tuple[ObjectServer, ApiServer], status: int, kind: type[ApiError]) -> None:
    server, address = served
    server.refuse = lambda method, path: status
    with pytest.raises(kind, match=f"trainingattempts.*team/digits-1.*told to answer {status}") as raised:
        ObjectClient(address, REF).patch_status({"step": 1})
    assert raised.value.status == status


def test_nobody_there(tmp_path: Path, served: tuple[ObjectServer, ApiServer]) -> None:
    server, address = served
    server.server_close()
    with pytest.raises(ApiUnavailable, match="does not answer"):
        ObjectClient(address, REF).get()
    missing = ApiServer("127.0.0.1", 1, address.token, tmp_path / "no-such-ca.crt")
    with pytest.raises(ApiError, match=r"no-such-ca\.crt"):
        ObjectClient(missing, REF).get()


def test_only_the_clusters_own_authority_is_trusted(tmp_path: Path) -> None:
    folders = [tmp_path / "own", tmp_path / "other"]
    for folder in folders:
        folder.mkdir()
    with serve_object(folders[0], REF, {}, tls=True) as (_, own), serve_object(folders[1], REF, {}, tls=True):
        ObjectClient(own, REF).get()
        stranger = replace(own, certificates=folders[1] / "ca.crt")
        with pytest.raises(ApiUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
            ObjectClient(stranger, REF).get()


class Watched:
    """A `follow` in a thread, read one state after another."""

    def __init__(self, client: ObjectClient) -> None:
        self.ended = threading.Event()
        self.states: list[int] = []
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._run, args=(client,), daemon=True)
        self._thread.start()

    def _run(self, client: ObjectClient) -> None:
        for found in follow(client, self.ended, PAUSES):
            with self._news:
                self.states.append(found["spec"]["number"])
                self._news.notify_all()

    def until(self, number: int) -> None:
        with self._news:
            assert self._news.wait_for(lambda: number in self.states, 10), self.states

    def finished(self) -> bool:
        self._thread.join(10)
        return not self._thread.is_alive()


def test_following_sees_every_change_and_the_end(served: tuple[ObjectServer, ApiServer]) -> None:
    server, address = served
    watched = Watched(ObjectClient(address, REF))
    watched.until(1)
    for number in (2, 3):
        server.set({"spec": {"number": number}})
        watched.until(number)
    server.delete()
    assert watched.finished()
    assert watched.states == [1, 2, 3]


def test_following_survives_outages_and_expired_versions(served: tuple[ObjectServer, ApiServer]) -> None:
    server, address = served
    answers = iter([503, 403, 500])
    server.refuse = lambda method, path: next(answers, 0)
    watched = Watched(ObjectClient(address, REF, watch_seconds=0))
    watched.until(1)
    # Each watch ends at once; meanwhile the server forgets what it knew.
    server.oldest = 1
    server.set({"spec": {"number": 2}})
    watched.until(2)
    watched.ended.set()
    assert watched.finished()


def test_following_leaves_a_half_open_connection(served: tuple[ObjectServer, ApiServer]) -> None:
    server, address = served
    server.silent = True
    watched = Watched(ObjectClient(address, REF, timeout=0.2, watch_seconds=0))
    watched.until(1)
    server.versions.append({"metadata": {"resourceVersion": "1"}, "spec": {"number": 2}})
    watched.until(2)  # by a new get, since no watch says anything
    watched.ended.set()
    assert watched.finished()


def test_the_server_is_found_by_the_environment(tmp_path: Path) -> None:
    found = find_server({"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}, tmp_path)
    assert found == ApiServer("10.0.0.1", 443, tmp_path / "token", tmp_path / "ca.crt")
    with pytest.raises(InvalidInput, match="in no pod"):
        find_server({})
