"""SinceWhen's services: what changed, where, since when."""
