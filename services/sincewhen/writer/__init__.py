"""Everything that topics carry becomes rows of the store."""
