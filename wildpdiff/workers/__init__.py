"""Who does independent jobs: processes here, a cluster of Dask or Ray, Slurm; all by `concurrent.futures`."""
