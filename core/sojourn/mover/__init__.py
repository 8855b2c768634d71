"""The pods that touch stores on the operator's behalf: they send, receive, probe and retire (`python -m`)."""
