"""Checkpoints: commits of runs as objects, and the deletion of their files on request."""
