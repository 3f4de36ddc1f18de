"""Thin I/O: every function takes its client as an argument and holds no policy."""
