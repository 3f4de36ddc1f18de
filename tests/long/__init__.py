"""Tests of many minutes each: `make check-long`."""
