"""The verbs `export` and `serve`."""
