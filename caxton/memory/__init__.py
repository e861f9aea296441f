"""What agents remember: embedders, one file a kind, and memory backends, one file a noun of theirs."""
