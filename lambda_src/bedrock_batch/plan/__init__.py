"""Cut the table into shards and settle everything before any spend."""
