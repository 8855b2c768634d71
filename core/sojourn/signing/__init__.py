"""Signatures of checkpoints, exports and model folders in the OpenSSF model-signing format, made and checked offline.

The format: https://github.com/sigstore/model-transparency (an in-toto statement in a DSSE envelope in a Sigstore
bundle). docs/concepts/signing.md says what a signature promises.
"""
