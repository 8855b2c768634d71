"""Sojourn: train TensorFlow on one cluster, carry the run to another, serve it there."""

__version__ = "0.1.0"
