"""Many minutes each: `make check-long`."""
