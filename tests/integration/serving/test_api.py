"""`sojourn.serve` and `sojourn.export` from Python: processes of their own, held by handles, with typed errors."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import sojourn
from helpers.serving import Digits, eventually
from sojourn.errors import InvalidInput, SojournError

pytestmark = pytest.mark.tensorflow


def test_a_server_answers_until_it_is_stopped(digits: Digits) -> None:
    with sojourn.serve("digits", store=digits.store.root, name="numbers", options=("--max-batch", "16")) as server:
        assert server.exit_code is None
        assert (server.name, server.url) == ("numbers", f"{server.address}/v1/models/numbers")
        answer = server.predict(digits.images)
        np.testing.assert_allclose(answer["probabilities"], digits.expected(digits.images), atol=1e-5)
        assert "is ready after" in server.log
    assert server.exit_code == 0
    with pytest.raises(sojourn.PredictFailed):
        server.predict(digits.images)


def test_a_server_ends_with_the_python_process_that_started_it(digits: Digits) -> None:
    script = "import sys, sojourn; print(sojourn.serve(sys.argv[1]).pid)"
    done = subprocess.run(
        [sys.executable, "-c", script, str(digits.folder)], capture_output=True, text=True, timeout=120, check=True
    )
    server = int(done.stdout)
    eventually(lambda: not Path(f"/proc/{server}/exe").exists(), "it has finished what was in flight, and ended")


def test_what_cannot_be_served_or_exported_is_raised_as_it_is_told(digits: Digits) -> None:
    with pytest.raises(SojournError, match="no run") as missing:
        sojourn.serve("letters", store=digits.store.root)
    assert missing.value.hint
    with pytest.raises(InvalidInput, match="max-batc"):
        sojourn.serve(digits.folder, options=("--max-batc", "16"))
    with pytest.raises(InvalidInput, match="onnx"):
        sojourn.export("digits", store=digits.store.root, formats=("onnx",))


def test_a_server_that_is_not_ready_in_time_is_stopped(digits: Digits) -> None:
    with pytest.raises(TimeoutError, match="not ready after 0"):
        sojourn.serve(digits.folder, wait=0.01)
