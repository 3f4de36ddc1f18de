"""Read the input table in any format, and write the output table."""
