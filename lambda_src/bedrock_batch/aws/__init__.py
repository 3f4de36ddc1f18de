"""Thin calls of AWS. Every function takes its client."""
