"""The supervisor where no process can be started: real ones, whose program is not there for a while.

It runs in a process of its own, because it takes signals, and because metrics of several processes need a folder.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

# Says on its control socket that it is ready, and leaves when the supervisor closes that or a signal comes.
REPLICA = """#!{python}
import os, sys
control = int(sys.argv[4])
os.write(control, b'{word}\\n')
os.read(control, 1)
"""
READY = '{"event": "ready"}'


class Program:
    """What replicas are started from, for as long as it is there."""

    def __init__(self, folder: Path, word: str) -> None:
        self._path = folder / "replica"
        self._path.write_text(REPLICA.format(python=sys.executable, word=word))
        self._path.chmod(0o755)
        sys.executable = str(self._path)

    def hide(self) -> None:
        self._path.rename(self._path.with_suffix(".away"))

    def show(self) -> None:
        self._path.with_suffix(".away").rename(self._path)


def serve(scenario: str, folder: Path) -> None:
    """Body of the process: prints what the supervisor says, and how it ends."""
    from sojourn_serving.server.restart import Restarts
    from sojourn_serving.server.settings import ServerSettings
    from sojourn_serving.server.supervisor import Supervisor

    program = Program(folder, "no JSON" if scenario == "babbling" else READY)
    if scenario == "missing":
        program.hide()
    said: list[str] = []

    def say(line: str) -> None:
        print(line, flush=True)
        said.append(line)
        ready = sum("is ready" in line for line in said)
        if "cannot be started" in line and sum("cannot be started" in line for line in said) == 4:
            program.show()
        elif "is ready" in line and ready == 1:
            program.hide()
            os.kill(int(line.rpartition("(pid ")[2].rstrip(")")), signal.SIGKILL)
        elif "is ready" in line:
            os.kill(os.getpid(), signal.SIGTERM)

    settings = ServerSettings(model=folder, name="digits", version=1, port=0, drain_delay=0.0, grace=1.0)
    Supervisor(settings, say, restarts=Restarts(first=0.01)).run()


def run(scenario: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, __file__, scenario, str(folder)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_a_replica_that_cannot_be_started_for_a_while_comes_back(tmp_path: Path) -> None:
    done = run("for a while", tmp_path)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    failed = [line for line in lines if "cannot be started" in line]
    assert len(failed) == 4
    assert failed[0].endswith(f"No such file or directory: '{tmp_path}/replica'; trying again in 0.02 s")
    assert sum("is ready" in line for line in lines) == 2
    assert lines[-1] == "stopped"


def test_a_server_whose_first_replica_cannot_be_started_ends(tmp_path: Path) -> None:
    done = run("missing", tmp_path)
    assert done.returncode == 1
    assert "CannotServe: replica 0 cannot be started: [Errno 2] No such file or directory" in done.stderr
    assert sum("trying again" in line for line in done.stdout.splitlines()) == 2


def test_an_error_in_keeping_a_replica_ends_the_server(tmp_path: Path) -> None:
    done = run("babbling", tmp_path)
    assert done.returncode == 1
    assert "JSONDecodeError" in done.stderr


if __name__ == "__main__":
    serve(sys.argv[1], Path(sys.argv[2]))
