"""The contract between edge agents, the log and the services."""
