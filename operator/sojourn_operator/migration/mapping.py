"""A job as it is to be at the target: with the names that things have there, and what `resume` changes (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

Json = dict[str, Any]
Names = Mapping[str, str]


def target_job_spec(source: Mapping[str, Any], mapping: Mapping[str, Any], resume: Mapping[str, Any]) -> Json:
    """The spec of a TrainingJob with every name mapped and the changes of `resume`; without restoreFrom, as the run
    exists already, and suspended."""
    spec: Json = deepcopy(dict(source))
    for name in ("restoreFrom", "managedBy"):
        spec.pop(name, None)
    spec["suspend"] = True
    _rename(spec.get("task", {}).get("code", {}).get("configMap"), "name", mapping.get("configMaps", {}))
    if "image" in spec:
        spec["image"] = mapped_image(spec["image"], mapping.get("images", {}))
    if "podTemplate" in spec:
        spec["podTemplate"] = mapped_pod(spec["podTemplate"], mapping)
    spec.setdefault("checkpoint", {}).pop("request", None)
    return _changed(spec, resume)


def mapped_pod(template: Mapping[str, Any], mapping: Mapping[str, Any]) -> Json:
    """Additions to pods, with every name mapped."""
    pod: Json = deepcopy(dict(template))
    secrets, maps, claims = (mapping.get(name, {}) for name in ("secrets", "configMaps", "claims"))
    for reference in pod.get("imagePullSecrets", ()):
        _rename(reference, "name", secrets)
    for variable in pod.get("env", ()):
        value = variable.get("valueFrom", {})
        _rename(value.get("secretKeyRef"), "name", secrets)
        _rename(value.get("configMapKeyRef"), "name", maps)
    for volume in pod.get("volumes", ()):
        for part in (volume, *volume.get("projected", {}).get("sources", ())):
            secret = part.get("secret")
            _rename(secret, "secretName" if secret and "secretName" in secret else "name", secrets)
            _rename(part.get("configMap"), "name", maps)
            _rename(part.get("persistentVolumeClaim"), "claimName", claims)
    for name, renamed in {
        "serviceAccountName": "serviceAccounts",
        "priorityClassName": "priorityClasses",
        "runtimeClassName": "runtimeClasses",
    }.items():
        _rename(pod, name, mapping.get(renamed, {}))
    if "nodeSelector" in pod:
        pod["nodeSelector"] = _mapped_selector(pod["nodeSelector"], mapping.get("nodeSelectors", {}))
    return pod


def mapped_image(image: str, images: Names) -> str:
    """An image whose longest beginning that is listed is replaced."""
    for beginning in sorted(images, key=len, reverse=True):
        if image == beginning or image.startswith((f"{beginning}/", f"{beginning}:", f"{beginning}@")):
            return images[beginning] + image[len(beginning) :]
    return image


def _changed(spec: Json, resume: Mapping[str, Any]) -> Json:
    workers = spec.setdefault("workers", {})
    if "workers" in resume:
        workers["replicas"] = resume["workers"]
    if "resources" in resume:
        workers["resources"] = {**workers.get("resources", {}), **resume["resources"]}
    for name in ("strategy", "image"):
        if name in resume:
            spec[name] = resume[name]
    return spec


def _mapped_selector(selector: Mapping[str, str], mapping: Names) -> dict[str, str]:
    result = {}
    for key, value in selector.items():
        term = mapping.get(f"{key}={value}", f"{key}={value}")
        if term:
            new_key, _, new_value = term.partition("=")
            result[new_key] = new_value
    return result


def _rename(part: Json | None, field: str, names: Names) -> None:
    if part is not None and part.get(field) in names:
        part[field] = names[part[field]]
