"""Command lines of a test cluster's control plane, and what it needs applied before the first pod. Pure."""

from __future__ import annotations

from typing import Any

from e2e.clusters.layout import API_PORT, Site


def etcd(site: Site) -> list[str]:
    client, peer = "http://127.0.0.1:2379", "http://127.0.0.1:2380"
    return [
        f"--name={site.name}",
        f"--data-dir={site.folder / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster={site.name}={peer}",
        # Nothing of a test cluster is kept over a crash of the machine.
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def kube_apiserver(site: Site) -> list[str]:
    pki = site.folder / "pki"
    return [
        "--etcd-servers=http://127.0.0.1:2379",
        "--bind-address=0.0.0.0",
        f"--secure-port={API_PORT}",
        f"--advertise-address={site.wan}",
        f"--tls-cert-file={pki}/apiserver.crt",
        f"--tls-private-key-file={pki}/apiserver.key",
        f"--client-ca-file={pki}/ca.crt",
        # Without the aggregation layer's settings controller-manager and scheduler complain all the time.
        f"--requestheader-client-ca-file={pki}/front-proxy-ca.crt",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-username-headers=X-Remote-User",
        f"--kubelet-certificate-authority={pki}/ca.crt",
        f"--kubelet-client-certificate={pki}/apiserver-kubelet-client.crt",
        f"--kubelet-client-key={pki}/apiserver-kubelet-client.key",
        "--kubelet-preferred-address-types=InternalIP",
        f"--service-account-issuer=https://{site.name}.cluster.local",
        f"--service-account-key-file={pki}/service-accounts.pub",
        f"--service-account-signing-key-file={pki}/service-accounts.key",
        f"--service-cluster-ip-range={site.services}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        "--anonymous-auth=false",
        "--profiling=false",
    ]


def kube_controller_manager(site: Site) -> list[str]:
    pki = site.folder / "pki"
    return [
        *_as_user(site, "kube-controller-manager"),
        f"--root-ca-file={pki}/ca.crt",
        f"--service-account-private-key-file={pki}/service-accounts.key",
        "--use-service-account-credentials",
        f"--cluster-signing-cert-file={pki}/ca.crt",
        f"--cluster-signing-key-file={pki}/ca.key",
        "--allocate-node-cidrs=false",
        f"--flex-volume-plugin-dir={site.folder / 'volume-plugins'}",
        # A claim that names its volume binds in 2 s instead of 15.
        "--pvclaimbinder-sync-period=2s",
    ]


def kube_scheduler(site: Site) -> list[str]:
    return _as_user(site, "kube-scheduler")


def _as_user(site: Site, name: str) -> list[str]:
    kubeconfig = site.folder / "pki" / f"{name}.kubeconfig"
    return [
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        "--profiling=false",
    ]


def role_bindings() -> list[dict[str, Any]]:
    """Rights that kubeadm or an add-on would bring: the API server's on kubelets, and CoreDNS'."""
    return [
        _cluster_role_binding("sojourn:apiserver-kubelet", "system:kubelet-api-admin", "kube-apiserver-kubelet-client"),
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "system:coredns"},
            "rules": [
                {"apiGroups": [""], "resources": ["services", "pods", "namespaces"], "verbs": ["list", "watch"]},
                {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
            ],
        },
        _cluster_role_binding("system:coredns", "system:coredns", "system:coredns"),
    ]


def _cluster_role_binding(name: str, role: str, user: str) -> dict[str, Any]:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
    }
