"""The run input: its schema, and the check against it."""
