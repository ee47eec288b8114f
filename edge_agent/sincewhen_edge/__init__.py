"""The edge agent: what a model on a line sees, sent to the server without hurting the line."""
