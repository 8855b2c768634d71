"""Settings of a test cluster's node: CNI, containerd, kubelet, kube-proxy and CoreDNS. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import yaml

from e2e.clusters.layout import REGISTRY_ADDRESS, REGISTRY_NAME, REGISTRY_PORT, Site

PAUSE_IMAGE = "localhost/pause:1"


def settings(site: Site) -> Mapping[str, str]:
    """Content of every file of settings, by its path below the cluster's folder."""
    registry = f"http://{REGISTRY_ADDRESS}:{REGISTRY_PORT}"
    return {
        "cni/10-bridge.conflist": json.dumps(_cni(site)),
        "containerd.toml": _containerd(site),
        f"registries/{REGISTRY_NAME}/hosts.toml": f'server = "{registry}"\n'
        f'[host."{registry}"]\n  capabilities = ["pull", "resolve"]\n',
        "kubelet.yaml": yaml.safe_dump(_kubelet(site)),
        "kube-proxy.yaml": yaml.safe_dump(_kube_proxy(site)),
        "resolv.conf": f"nameserver {site.dns}\n",
        "Corefile": _corefile(site),
    }


def kubelet(site: Site) -> list[str]:
    """Arguments of kubelet."""
    return [
        f"--config={site.folder}/kubelet.yaml",
        f"--kubeconfig={site.folder}/pki/kubelet.kubeconfig",
        f"--root-dir={site.folder}/kubelet",
        f"--hostname-override={site.node}",
        f"--node-ip={site.wan}",
    ]


def socket(site: Site) -> str:
    """containerd's socket."""
    return str(site.folder / "containerd.sock")


def _cni(site: Site) -> dict[str, Any]:
    ranges = [[{"subnet": site.pods}]]
    bridge = {
        "type": "bridge",
        "bridge": "cni0",
        "isGateway": True,
        "ipMasq": False,
        "hairpinMode": True,
        "mtu": 1500,
        "ipam": {
            "type": "host-local",
            "dataDir": str(site.folder / "addresses"),
            "ranges": ranges,
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    return {
        "cniVersion": "0.4.0",
        "name": "bridge",
        "plugins": [bridge, {"type": "portmap", "capabilities": {"portMappings": True}}],
    }


def _containerd(site: Site) -> str:
    # No right to lower a score of the out-of-memory killer here, hence restrict_oom_score_adj.
    return f"""version = 2
root = "{site.images}"
state = "{site.folder}/containerd"
oom_score = 0
[grpc]
  address = "{socket(site)}"
[plugins."io.containerd.internal.v1.opt"]
  path = "{site.folder}/containerd-opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "{site.folder}/registries"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{site.folder}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    discard_unpacked_layers = true
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
        BinaryName = "/usr/sbin/runc"
        Root = "{site.folder}/runc"
"""


def _kubelet(site: Site) -> dict[str, Any]:
    pki = site.folder / "pki"
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(pki / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(pki / "kubelet-server.crt"),
        "tlsPrivateKeyFile": str(pki / "kubelet-server.key"),
        "containerRuntimeEndpoint": f"unix://{socket(site)}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{site.cgroup}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "enforceNodeAllocatable": [],
        "oomScoreAdj": 0,
        # The machine's disk is not the node's: a full one must not evict pods, nor remove images of the cache.
        "evictionHard": {},
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "maxOpenFiles": 20000,
        "podPidsLimit": -1,
        "clusterDNS": [site.dns],
        "clusterDomain": "cluster.local",
        "resolvConf": str(site.folder / "resolv.conf"),
        "podLogsDir": str(site.folder / "pod-logs"),
        "volumePluginDir": str(site.folder / "volume-plugins"),
        "address": "0.0.0.0",
        "readOnlyPort": 0,
        "serializeImagePulls": False,
        "nodeStatusUpdateFrequency": "4s",
    }


def _kube_proxy(site: Site) -> dict[str, Any]:
    sync = {"minSyncPeriod": "100ms", "syncPeriod": "30s"}
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clientConnection": {"kubeconfig": str(site.folder / "pki" / "kube-proxy.kubeconfig")},
        "clusterCIDR": site.pods,
        "hostnameOverride": site.node,
        # The table of connections is the machine's, not ours to size.
        "conntrack": {"maxPerCore": 0, "min": 0},
        "nodePortAddresses": [f"{site.wan}/32", f"{site.management}/32"],
        "bindAddress": site.wan,
        "nftables": sync,
    }


def _corefile(site: Site) -> str:
    return f""".:53 {{
  bind {site.dns}
  errors
  health 127.0.0.1:8081
  ready 127.0.0.1:8181
  kubernetes cluster.local in-addr.arpa {{
    kubeconfig {site.folder}/pki/coredns.kubeconfig
    pods insecure
    ttl 5
  }}
  cache 5 {{
    disable denial cluster.local
  }}
}}
"""
