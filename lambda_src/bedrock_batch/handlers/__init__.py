"""Lambda entry points, one module for each function. Each reads its event, calls one function and returns."""
