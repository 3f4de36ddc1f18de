"""Decide what a run does next, and report how it went. This package imports neither Arrow nor NumPy."""
