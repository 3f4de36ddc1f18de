"""Render rows as the records that Bedrock reads."""
