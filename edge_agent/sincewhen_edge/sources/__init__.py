"""Where frames come from when no model of the host is tapped: archives, logs, folders."""
