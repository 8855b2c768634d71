"""Two real Kubernetes clusters, east and west, on one machine: `python -m e2e.clusters up` with tests/ on the path."""
