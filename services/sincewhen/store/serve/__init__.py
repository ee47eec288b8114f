"""The engine of this process behind ClickHouse's HTTP interface."""
