"""From a committed checkpoint to files that serve without Sojourn: SavedModel, .keras, .h5, golden inputs and outputs.

TensorFlow work runs in child processes (child.py builds, check.py loads again), so whoever exports need not import it.
"""
