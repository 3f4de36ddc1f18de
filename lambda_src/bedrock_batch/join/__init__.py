"""Match the answers with the rows, and write the output table."""
