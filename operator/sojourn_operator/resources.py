"""Every kind of object that the operator reads or writes, as the API server's paths name it."""

from __future__ import annotations

from typing import Final

from sojourn_operator.runtime.objects import Resource

GROUP: Final = "sojourn.dev"
VERSION: Final = "v1alpha1"

TRAINING_JOBS: Final = Resource(GROUP, VERSION, "trainingjobs", "TrainingJob")
TRAINING_ATTEMPTS: Final = Resource(GROUP, VERSION, "trainingattempts", "TrainingAttempt")
CHECKPOINT_STORES: Final = Resource(GROUP, VERSION, "checkpointstores", "CheckpointStore")
CHECKPOINTS: Final = Resource(GROUP, VERSION, "checkpoints", "Checkpoint")
REMOTE_CLUSTERS: Final = Resource(GROUP, VERSION, "remoteclusters", "RemoteCluster", namespaced=False)
CHECKPOINT_TRANSFERS: Final = Resource(GROUP, VERSION, "checkpointtransfers", "CheckpointTransfer")
MIGRATIONS: Final = Resource(GROUP, VERSION, "migrations", "Migration")
MODEL_SERVERS: Final = Resource(GROUP, VERSION, "modelservers", "ModelServer")

CONFIG_MAPS: Final = Resource("", "v1", "configmaps", "ConfigMap")
EVENTS: Final = Resource("", "v1", "events", "Event")
LIMIT_RANGES: Final = Resource("", "v1", "limitranges", "LimitRange")
NAMESPACES: Final = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
NODES: Final = Resource("", "v1", "nodes", "Node", namespaced=False)
PERSISTENT_VOLUME_CLAIMS: Final = Resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim")
PODS: Final = Resource("", "v1", "pods", "Pod")
RESOURCE_QUOTAS: Final = Resource("", "v1", "resourcequotas", "ResourceQuota")
SECRETS: Final = Resource("", "v1", "secrets", "Secret")
SERVICE_ACCOUNTS: Final = Resource("", "v1", "serviceaccounts", "ServiceAccount")
SERVICES: Final = Resource("", "v1", "services", "Service")
DEPLOYMENTS: Final = Resource("apps", "v1", "deployments", "Deployment")
ACCESS_REVIEWS: Final = Resource(
    "authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", namespaced=False
)
HORIZONTAL_POD_AUTOSCALERS: Final = Resource("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler")
JOBS: Final = Resource("batch", "v1", "jobs", "Job")
LEASES: Final = Resource("coordination.k8s.io", "v1", "leases", "Lease")
CUSTOM_RESOURCE_DEFINITIONS: Final = Resource(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False
)
HTTP_ROUTES: Final = Resource("gateway.networking.k8s.io", "v1", "httproutes", "HTTPRoute")
INGRESSES: Final = Resource("networking.k8s.io", "v1", "ingresses", "Ingress")
NETWORK_POLICIES: Final = Resource("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy")
POD_DISRUPTION_BUDGETS: Final = Resource("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget")
RAY_CLUSTERS: Final = Resource("ray.io", "v1", "rayclusters", "RayCluster")
RAY_JOBS: Final = Resource("ray.io", "v1", "rayjobs", "RayJob")
ROLE_BINDINGS: Final = Resource("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding")
ROLES: Final = Resource("rbac.authorization.k8s.io", "v1", "roles", "Role")

ALL: Final = tuple(value for value in list(globals().values()) if isinstance(value, Resource))
