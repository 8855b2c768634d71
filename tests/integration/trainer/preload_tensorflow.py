"""Imported once by the fork server, so that workers need not import TensorFlow again. Runs no operation."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import sojourn_trainer.loop.fit
import sojourn_trainer.workers.run  # noqa: F401
