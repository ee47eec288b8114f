"""The command `sincewhen`."""
