"""Cut the table into shards, and decide everything else before any spend."""
