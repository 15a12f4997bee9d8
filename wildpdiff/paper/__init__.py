"""Wild-P-Diff: the paper's tables and figures, measured on our world."""
