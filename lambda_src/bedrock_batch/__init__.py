"""Bedrock batch inference over tables: plan, render, run, join, reconcile."""
