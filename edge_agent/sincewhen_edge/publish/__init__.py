"""The spool's way to the server."""
