"""The corridor on the other side: what many stations say together."""
