"""p-diff's tables and figures, measured: systems that differ in one thing, over several seeds."""
