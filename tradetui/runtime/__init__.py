"""The async shell around the engine: inbox, tasks, start, stop, and snapshots for the screen."""
