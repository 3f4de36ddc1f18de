"""Read the input table, whatever its format."""
