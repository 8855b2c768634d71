"""Sojourn from Python: the same verbs as the command line, which is a thin layer over these functions.

People import them from `sojourn` itself, where each loads on first use.
"""
