"""HTTPS into the log, for plants that let no Kafka port out: the endpoint of the embedded server, a token an agent."""
