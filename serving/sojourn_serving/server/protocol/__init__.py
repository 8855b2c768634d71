"""The two prediction protocols as pure functions: bytes and a signature in, arrays out, and back.

Nothing here imports TensorFlow, so every malformed request is testable without a model.
"""
