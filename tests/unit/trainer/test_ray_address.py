"""An address at which nobody listens is refused at once."""

from __future__ import annotations

import socket

import pytest

from sojourn.errors import SojournError
from sojourn_trainer.driver.main import require_listener


def test_nobody_listens() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(SojournError, match=f"Ray does not answer at 127.0.0.1:{port}"):
            require_listener(f"127.0.0.1:{port}")


def test_somebody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        require_listener(f"127.0.0.1:{server.getsockname()[1]}")


def test_other_forms_are_rays_matter() -> None:
    require_listener("auto")
