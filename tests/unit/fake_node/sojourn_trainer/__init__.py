"""Stands in for the trainer's package, where tests put this folder first on PYTHONPATH."""
