"""Read the answers of models."""
