"""Make what people read after a run: the report as a page, and the SQL statement for the output table."""
