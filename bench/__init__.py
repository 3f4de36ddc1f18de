"""Measure the data path against plain Python, pandas, orjson and DuckDB on the same work: `python -m bench`."""
