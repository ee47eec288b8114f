"""The whole server in one process: log, pipeline, store."""
