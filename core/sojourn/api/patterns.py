"""The textual forms that fields accept: an expression for validators and words for people.

The expressions keep to what RE2 (Kubernetes), ECMA-262 (editors) and Rust (pydantic) read alike.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Pattern(NamedTuple):
    """A regular expression and what it means."""

    regex: str
    meaning: str


JOB_NAME: Final = Pattern(
    r"^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$",
    "at most 40 characters: lower-case letters, digits and '-', starting with a letter, not ending with '-'",
)
ATTEMPT_NAME: Final = Pattern(
    r"^[a-z]([-a-z0-9]{0,48}[a-z0-9])?$",
    "at most 50 characters: lower-case letters, digits and '-', starting with a letter, not ending with '-'",
)
LABEL_NAME: Final = Pattern(
    r"^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$",
    "at most 63 characters: lower-case letters, digits and '-', starting with a letter, not ending with '-'",
)
TOKEN: Final = Pattern(
    r"^[A-Za-z0-9]([-A-Za-z0-9_.:+]{0,61}[A-Za-z0-9])?$",
    "at most 63 letters, digits, '-', '_', '.', ':' and '+', such as a time or a name",
)
OBJECT_NAME: Final = Pattern(
    r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$",
    "the name of a Kubernetes object: lower-case letters, digits, '-' and '.'",
)
NAMESPACE: Final = Pattern(
    r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$",
    "a namespace: at most 63 lower-case letters, digits and '-'",
)
ENTRYPOINT: Final = Pattern(
    r"^[A-Za-z_][A-Za-z0-9_]*([.][A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*$",
    "module:function, such as my_package.tasks:build",
)
ADDRESS: Final = Pattern(
    r"^[a-z]([-a-z0-9]{0,38}[a-z0-9])?(@(latest|best|[0-9]+))?$",
    "the address of a checkpoint: NAME, NAME@latest, NAME@best or NAME@STEP",
)
STORE_URI: Final = Pattern(
    r"^(file:///|(s3|gs|az)://[A-Za-z0-9])[^ ]*$",
    "file:///DIRECTORY, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or az://CONTAINER/PREFIX",
)
RUN_STORE_URI: Final = Pattern(
    r"^(file:///|(s3|gs|az|pvc)://[A-Za-z0-9])[^ ]*$",
    "file:///DIRECTORY, pvc://CLAIM/PATH, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or az://CONTAINER/PREFIX",
)
IMAGE: Final = Pattern(
    r"^[A-Za-z0-9][-A-Za-z0-9_.:/]*(@sha256:[0-9a-f]{64})?$",
    "a container image, such as registry.example/team/trainer:1.2",
)
ENDPOINT: Final = Pattern(r"^https?://[^ ]+$", "an http:// or https:// address")
DIGEST: Final = Pattern(r"^blake3:[0-9a-f]{64}$", "blake3: and 64 hexadecimal digits")
RUN: Final = Pattern(
    r"^[a-z0-9]([-a-z0-9/]{0,251}[a-z0-9])?$",
    "a run: its name, NAME-RUNID, or its folder in the store",
)
CHECKPOINT_CHOICE: Final = Pattern(r"^(latest|best|[0-9]{1,16})$", "latest, best or a step")
UUID: Final = Pattern(r"^[0-9A-Za-z]([-0-9A-Za-z]{0,62}[0-9A-Za-z])?$", "an id, such as a UUID")
HOST: Final = Pattern(
    r"^[0-9A-Za-z]([-0-9A-Za-z.:]{0,251}[0-9A-Za-z])?$", "a host name or an IP address, without a port"
)
HOST_NAME: Final = Pattern(
    r"^([*][.])?[a-z0-9]([-a-z0-9.]{0,249}[a-z0-9])?$", "a host name, such as models.example.com"
)
ALLOWED_NAMESPACE: Final = Pattern(r"^([*]|[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)$", "a namespace, or * for every one")
LABEL_TERM: Final = Pattern(r"^$|^[-A-Za-z0-9_./]{1,317}=[-A-Za-z0-9_.]{0,63}$", "KEY=VALUE, or nothing")
CERTIFICATE: Final = Pattern(r"^-----BEGIN CERTIFICATE-----", "a certificate in PEM form")
CPU: Final = Pattern(r"^([0-9]+([.][0-9]{1,3})?|[0-9]+m)$", 'an amount of CPU, such as 2, 500m or "0.5"')
MEMORY: Final = Pattern(
    r"^[0-9]+([.][0-9]+)?(Ki|Mi|Gi|Ti|Pi|k|M|G|T|P)?$", 'an amount of memory, such as 512Mi, 2Gi or "1.5Gi"'
)
BANDWIDTH: Final = Pattern(r"^[0-9]+([.][0-9]+)?(Ki|Mi|Gi|k|M|G)?$", "bytes per second, such as 25M or 3Mi")
TOPOLOGY: Final = Pattern(r"^[1-9][0-9]*(x[1-9][0-9]*){1,2}$", "chips per axis, such as 2x4 or 2x2x4")
MANAGED_BY: Final = Pattern(
    r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$",
    "a domain and a path, such as kueue.x-k8s.io/multikueue",
)
CONDITION_TYPE: Final = Pattern(r"^[A-Za-z][A-Za-z0-9]*$", "a CamelCase word")
CONDITION_REASON: Final = Pattern(r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$", "a CamelCase word")

MEANINGS: Final = {
    pattern.regex: pattern.meaning for pattern in tuple(globals().values()) if isinstance(pattern, Pattern)
}
