"""What the console asks and changes, whichever runner is behind it."""
