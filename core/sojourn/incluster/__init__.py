"""How a pod talks to the API server of its own cluster: about one object, with nothing but the standard library."""

from sojourn.incluster.api_server import ApiServer, in_cluster
from sojourn.incluster.client import ObjectClient, ObjectRef
from sojourn.incluster.errors import ApiError, ApiUnavailable, Conflict, ObjectGone, VersionExpired
from sojourn.incluster.follow import follow

__all__ = [
    "ApiError",
    "ApiServer",
    "ApiUnavailable",
    "Conflict",
    "ObjectClient",
    "ObjectGone",
    "ObjectRef",
    "VersionExpired",
    "follow",
    "in_cluster",
]
