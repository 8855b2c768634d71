"""CheckpointTransfers: each end of a copy is a mover pod, with a Service where it listens."""
