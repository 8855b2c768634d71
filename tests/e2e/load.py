"""A pod that asks a model server without pause and without a second try, and counts what went wrong."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

from e2e.clusters.access import Cluster, restricted_pod

# Half of the clients keep their connection, half open a new one for each request.
_PROGRAM = """
import http.client, json, signal, sys, threading, time

host, path, body = sys.argv[1:4]
stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
lock, answered, failures, versions = threading.Lock(), 0, [], {}

def client(keeps):
    global answered
    connection = None
    while not stop.is_set():
        connection = connection or http.client.HTTPConnection(host, 80, timeout=30)
        started = time.time()
        try:
            connection.request("POST", path, body, {"content-type": "application/json"})
            answer = connection.getresponse()
            data, status, closes = answer.read(), answer.status, answer.will_close
            problem = "" if status == 200 else f"{status} {data[:200]!r}"
        except (http.client.HTTPException, OSError) as error:
            problem, closes = repr(error), True
        with lock:
            answered += not problem
            if problem:
                failures.append(f"{time.time():.1f} after {time.time() - started:.3f} s: {problem}")
        if closes or not keeps:
            connection.close()
            connection = None
        time.sleep(0.02)

threads = [threading.Thread(target=client, args=(number % 2 == 0,)) for number in range(6)]
for thread in threads:
    thread.start()
print("loading", flush=True)
while not stop.wait(1):
    pass
for thread in threads:
    thread.join()
print(json.dumps({"answered": answered, "failures": failures[:20], "failed": len(failures)}), flush=True)
"""


@dataclass(frozen=True)
class Load:
    """Requests to a Service, from a pod of its namespace."""

    cluster: Cluster
    namespace: str
    name: str = "load"

    @classmethod
    def start(cls, cluster: Cluster, namespace: str, image: str, target: tuple[str, str, str]) -> Load:
        """`target`: the Service's name, the path, the body of each request."""
        command = ["python", "-c", _PROGRAM, *target]
        pod = restricted_pod("load", image, command, spec={"terminationGracePeriodSeconds": 60})
        pod["metadata"]["namespace"] = namespace
        cluster.apply(pod)
        cluster.kubectl("wait", "pod/load", f"--namespace={namespace}", "--for=condition=Ready", "--timeout=120s")
        return cls(cluster, namespace)

    def stop(self) -> dict[str, Any]:
        """Its counts."""
        kill = "import os, signal; os.kill(1, signal.SIGTERM)"
        self.cluster.kubectl("exec", self.name, f"--namespace={self.namespace}", "--", "python", "-c", kill)
        deadline = time.monotonic() + 60
        while self.cluster.get("pod", self.name, self.namespace)["status"]["phase"] == "Running":
            assert time.monotonic() < deadline, "the load pod does not stop"
            time.sleep(0.3)
        said = self.cluster.kubectl("logs", self.name, f"--namespace={self.namespace}")
        counts: dict[str, Any] = json.loads(said.splitlines()[-1])
        return counts
