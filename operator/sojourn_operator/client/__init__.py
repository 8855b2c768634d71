"""Sojourn on a cluster from Python: what the verbs for clusters do, typed, for notebooks.

from sojourn_operator.client import connect
job = connect(namespace="team").submit("job.yaml")
job.wait()
"""

from sojourn_operator.client.client import Client
from sojourn_operator.client.connect import connect
from sojourn_operator.client.errors import JobFailed, TimedOut
from sojourn_operator.client.job import Job
from sojourn_operator.client.logs import LogQuery, read_log
from sojourn_operator.client.migration import Journey, MigrationHandle, migrate
from sojourn_operator.client.server import Server
from sojourn_operator.client.takeover import TakeoverOrder, take_over

__all__ = [
    "Client",
    "Job",
    "JobFailed",
    "Journey",
    "LogQuery",
    "MigrationHandle",
    "Server",
    "TakeoverOrder",
    "TimedOut",
    "connect",
    "migrate",
    "read_log",
    "take_over",
]
