"""Wild-P-Diff."""
