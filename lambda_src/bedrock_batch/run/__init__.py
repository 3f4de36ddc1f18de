"""Decide how a run goes on, and report how it went. Imports neither Arrow nor NumPy."""
