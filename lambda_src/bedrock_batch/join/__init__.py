"""Lay the answers beside the rows, and write the output table."""
