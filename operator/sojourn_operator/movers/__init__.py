"""Pods with the mover's image, which touch stores for the operator: what they look like, and what they leave behind."""
