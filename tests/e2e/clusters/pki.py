"""Certificates of one test cluster, and the kubeconfigs made of them."""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from e2e.clusters.layout import API_PORT, Site

LIFETIME = timedelta(days=30)
# File name to user and groups. kubeadm names them so, and Kubernetes' own role bindings expect most of these.
CLIENTS = {
    "admin": ("kubernetes-admin", "system:masters"),
    "kube-controller-manager": ("system:kube-controller-manager", None),
    "kube-scheduler": ("system:kube-scheduler", None),
    "kube-proxy": ("system:kube-proxy", None),
    "coredns": ("system:coredns", None),
    "apiserver-kubelet-client": ("kube-apiserver-kubelet-client", None),
}
_MAY_SIGN = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def certificate_pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return _private(self.key)

    def write(self, folder: Path, name: str) -> None:
        (folder / f"{name}.crt").write_bytes(self.certificate_pem)
        (folder / f"{name}.key").write_bytes(self.key_pem)


def write_certificates(site: Site) -> None:
    """Write every certificate of a cluster to <folder>/pki and every kubeconfig to where it is looked for."""
    folder = site.folder / "pki"
    folder.mkdir(parents=True, mode=0o700)
    authority = _authority(f"{site.name}-ca")
    authority.write(folder, "ca")
    # The aggregation layer's: without it controller-manager and scheduler log an error every few seconds.
    _authority(f"{site.name}-front-proxy-ca").write(folder, "front-proxy-ca")
    names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"]
    addresses = [site.first_service, site.wan, site.management, "127.0.0.1"]
    issue(authority, "kube-apiserver", names=[*names, "localhost"], addresses=addresses).write(folder, "apiserver")
    issue(authority, f"system:node:{site.node}", "system:nodes", names=[site.node], addresses=[site.wan]).write(
        folder, "kubelet-server"
    )
    clients = {**CLIENTS, "kubelet": (f"system:node:{site.node}", "system:nodes")}
    for name, (user, group) in clients.items():
        pair = issue(authority, user, group)
        pair.write(folder, name)
        kubeconfig = _kubeconfig(site, authority, pair, f"https://127.0.0.1:{API_PORT}")
        (folder / f"{name}.kubeconfig").write_text(kubeconfig)
        if name == "admin":
            # The WAN address: good on this machine, and in the pods of the other cluster.
            site.kubeconfig.touch(mode=0o600)
            site.kubeconfig.write_text(_kubeconfig(site, authority, pair, f"https://{site.wan}:{API_PORT}"))
    service_accounts = ec.generate_private_key(ec.SECP256R1())
    (folder / "service-accounts.key").write_bytes(_private(service_accounts))
    (folder / "service-accounts.pub").write_bytes(
        service_accounts.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )


def issue(
    authority: Pair,
    common_name: str,
    organization: str | None = None,
    names: Sequence[str] = (),
    addresses: Sequence[str] = (),
) -> Pair:
    """A certificate for a server if it has names or addresses, else for a client."""
    key = ec.generate_private_key(ec.SECP256R1())
    usage = ExtendedKeyUsageOID.SERVER_AUTH if names or addresses else ExtendedKeyUsageOID.CLIENT_AUTH
    builder = (
        _builder(_name(common_name, organization), authority.certificate.subject, key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()),
            critical=False,
        )
    )
    if names or addresses:
        alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in names]
        alternatives += [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    return Pair(builder.sign(authority.key, hashes.SHA256()), key)


def _authority(common_name: str) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(common_name)
    certificate = (
        _builder(name, name, key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_MAY_SIGN, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Pair(certificate, key)


def _name(common_name: str, organization: str | None = None) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    if organization:
        attributes.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(attributes)


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + LIFETIME)
    )


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _kubeconfig(site: Site, authority: Pair, client: Pair, server: str) -> str:
    def text(data: bytes) -> str:
        return base64.b64encode(data).decode()

    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": site.name,
                    "cluster": {"server": server, "certificate-authority-data": text(authority.certificate_pem)},
                }
            ],
            "users": [
                {
                    "name": site.name,
                    "user": {
                        "client-certificate-data": text(client.certificate_pem),
                        "client-key-data": text(client.key_pem),
                    },
                }
            ],
            "contexts": [{"name": site.name, "context": {"cluster": site.name, "user": site.name}}],
            "current-context": site.name,
        },
        sort_keys=False,
    )
