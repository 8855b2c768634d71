"""Kubeconfigs that others wrote may hold data and nothing that acts; a pod's token is read again as it is rotated."""

from __future__ import annotations

import ssl
import subprocess
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
import yaml

from helpers.operator import FakeClock
from sojourn.errors import InvalidInput
from sojourn_operator.runtime.connection import TOKEN_SECONDS, from_kubeconfig_file, from_kubeconfig_text, in_cluster


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("pki")
    key, cert = folder / "key.pem", folder / "cert.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=test -days 1"
    subprocess.run([*command.split(), "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    return cert, key


def kubeconfig(cluster: dict[str, Any] | None = None, user: dict[str, Any] | None = None) -> str:
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "west",
            "contexts": [{"name": "west", "context": {"cluster": "c", "user": "u", "namespace": "team"}}],
            "clusters": [{"name": "c", "cluster": {"server": "https://west.example:6443", **(cluster or {})}}],
            "users": [{"name": "u", "user": user if user is not None else {"token": "t0ken"}}],
        }
    )


def test_a_token_is_sent(certificate: tuple[Path, Path]) -> None:
    authority = b64encode(certificate[0].read_bytes()).decode()
    found = from_kubeconfig_text(kubeconfig({"certificate-authority-data": authority}))
    assert found.server == "https://west.example:6443"
    assert found.headers() == {"Authorization": "Bearer t0ken"}
    assert found.namespace == "team"
    assert found.tls is not None
    assert found.tls.verify_mode == ssl.CERT_REQUIRED
    assert found.tls.check_hostname


def test_a_client_certificate_is_enough(certificate: tuple[Path, Path]) -> None:
    cert, key = (b64encode(path.read_bytes()).decode() for path in certificate)
    found = from_kubeconfig_text(kubeconfig(user={"client-certificate-data": cert, "client-key-data": key}))
    assert found.headers() == {}


@pytest.mark.parametrize(
    ("cluster", "user", "message"),
    [
        ({"insecure-skip-tls-verify": True}, None, "insecure-skip-tls-verify"),
        ({"server": "http://west.example"}, None, "not an https"),
        ({"proxy-url": "http://proxy"}, None, "proxy-url"),
        ({"certificate-authority": "/etc/ca.crt"}, None, "certificate-authority names a file"),
        ({"certificate-authority-data": "%%%"}, None, "not base64"),
        ({"certificate-authority-data": b64encode(b"nonsense").decode()}, None, "cannot be read"),
        ({}, {"exec": {"command": "sh"}}, "would run a program"),
        ({}, {"auth-provider": {"name": "gcp"}}, "would run a program"),
        ({}, {"tokenFile": "/var/run/secrets/token"}, "tokenFile names a file"),
        ({}, {"client-certificate": "/c", "client-key": "/k"}, "client-certificate names a file"),
        ({}, {"token": "t", "as": "admin"}, "user.as is not supported"),
        ({}, {}, "neither a token nor"),
    ],
)
def test_what_acts_or_trusts_too_much_is_refused(
    cluster: dict[str, Any], user: dict[str, Any] | None, message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        from_kubeconfig_text(kubeconfig(cluster, user))


@pytest.mark.parametrize("text", ["", "a: [", "clusters: []", "just words", "contexts: 3"])
def test_what_is_no_kubeconfig_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="not a kubeconfig"):
        from_kubeconfig_text(text)


def test_a_rotated_token_is_picked_up(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    (tmp_path / "ca.crt").write_bytes(certificate[0].read_bytes())
    (tmp_path / "namespace").write_text("sojourn-system")
    (tmp_path / "token").write_text("first\n")
    clock = FakeClock()
    environment = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}
    found = in_cluster(environment, clock, tmp_path)
    assert (found.server, found.namespace) == ("https://10.0.0.1:443", "sojourn-system")
    (tmp_path / "token").write_text("second\n")
    assert found.headers() == {"Authorization": "Bearer first"}
    clock.advance(TOKEN_SECONDS)
    assert found.headers() == {"Authorization": "Bearer second"}


def test_outside_of_a_pod_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="not in a pod"):
        in_cluster({}, FakeClock(), tmp_path)


def test_a_persons_kubeconfig_may_name_files(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    cert, key = certificate
    user = {"client-certificate": str(cert), "client-key": str(key)}
    (tmp_path / "config").write_text(kubeconfig({"certificate-authority": str(cert)}, user))
    found = from_kubeconfig_file(str(tmp_path / "config"))
    assert (found.server, found.namespace, found.headers()) == ("https://west.example:6443", "team", {})


def test_a_kubeconfig_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be used"):
        from_kubeconfig_file(str(tmp_path / "config"))
