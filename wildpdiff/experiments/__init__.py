"""What the experiments of both papers share: the laboratory, intervals, baselines, the report."""
