"""What makes a release of the module: its zips, their manifest, and their way into a bucket."""
