"""The screen: it pulls snapshots from the runtime and submits commands to it, nothing else."""
