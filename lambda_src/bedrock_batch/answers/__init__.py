"""Read what a model answered."""
