"""Lambda entry points, one module for each function; each parses, calls, returns."""
