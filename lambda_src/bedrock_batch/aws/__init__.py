"""Thin calls of AWS; every function takes its client."""
