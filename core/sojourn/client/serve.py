"""Serve an exported model from a process of its own, and hold it by a handle."""

from __future__ import annotations

import subprocess
import threading
import weakref
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sojourn.client.child import error_of, kept_lines, start
from sojourn.client.extras import require
from sojourn.client.process import exit_code
from sojourn.client.settings import Settings
from sojourn.client.stores import canonical

if TYPE_CHECKING:
    import numpy as np

NEEDED: Final = ("sojourn_serving", "tensorflow", "starlette", "uvicorn")
_READY: Final = "ready: "


class Server:
    """A server that answers. It ends with `stop`, at the end of a `with` block, or with this Python process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._lines = kept_lines()
        self._url = ""
        self._told = threading.Event()
        threading.Thread(target=self._follow, name="sojourn-server", daemon=True).start()
        self._finalizer = weakref.finalize(self, _terminate, process)

    @property
    def url(self) -> str:
        """Of the model, as `sojourn.predict` takes it: http://host:port/v1/models/NAME."""
        return self._url

    @property
    def address(self) -> str:
        """http://host:port."""
        return self._url.partition("/v1/")[0]

    @property
    def name(self) -> str:
        """The model's name."""
        return self._url.rpartition("/")[2]

    @property
    def pid(self) -> int:
        """Id of the process that keeps the replicas."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        code = self._process.poll()
        return None if code is None else exit_code(code)

    @property
    def log(self) -> str:
        """The last lines that it wrote."""
        return "\n".join(self._lines)

    def predict(self, inputs: Any, **options: Any) -> Mapping[str, np.ndarray[Any, Any]]:
        """Outputs by name for one batch; see `sojourn.predict`."""
        from sojourn.client.predict import predict

        return predict(self.url, inputs, **options)

    def stop(self, timeout: float | None = 60.0) -> int:
        """Let it finish the requests in flight and end; its exit code.

        Raises:
            TimeoutError: it has not ended after `timeout` seconds, and still stops.
        """
        _terminate(self._process)
        try:
            return exit_code(self._process.wait(timeout))
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"the server of {self.name} has not ended after {timeout:g} s") from error

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop(None)

    def __repr__(self) -> str:
        state = "serves" if self.exit_code is None else f"ended with exit code {self.exit_code}"
        return f"<sojourn.Server {self.url} {state}>"

    def _until_ready(self, wait: float) -> None:
        if not self._told.wait(wait):
            self.stop(None)
            raise TimeoutError(f"the server was not ready after {wait:g} s; the last it said:\n{self.log}")
        if not self._url:
            raise error_of("serve", self._process.wait(), list(self._lines))

    def _follow(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.append(line.rstrip("\n"))
            if line.startswith(_READY) and not self._url:
                self._url = line.removeprefix(_READY).partition(":predict")[0]
                self._told.set()
        self._told.set()


def serve(
    model: str | Path,
    *,
    store: str | Path | None = None,
    name: str | None = None,
    port: int = 0,
    replicas: int = 1,
    wait: float = 120.0,
    options: Sequence[str] = (),
) -> Server:
    """Serve an exported model over HTTP; returns when it answers.

    Args:
        model: a folder, or a run's address, as `sojourn serve` takes it.
        store: folder or address of the store that a run's address is looked up in.
        name: the model's name in URLs; by default the run's, or the folder's.
        port: of 127.0.0.1; 0 takes a free one.
        replicas: processes that answer.
        wait: seconds to wait until it answers.
        options: further options of `sojourn serve`, such as ("--max-batch", "16").

    Raises:
        InvalidInput: an option is none, or the port is taken.
        TimeoutError: it does not answer in time; it was stopped.
        SojournError: no such model, it cannot be served, or the packages for serving are not installed.
    """
    require("serving", NEEDED, "Serving")
    settings = Settings.load()
    arguments = [str(model), "--port", str(port), "--replicas", str(replicas), *options]
    if store is not None:
        arguments += ["--store", canonical(store, settings)]
    if name is not None:
        arguments += ["--name", name]
    server = Server(start("serve", arguments, settings.environment, stderr=subprocess.STDOUT))
    server._until_ready(wait)
    return server


def _terminate(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        with suppress(ProcessLookupError):
            process.terminate()
