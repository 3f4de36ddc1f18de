"""What people look at when a run has ended: its report as a page, and the statement that makes its output a table."""
