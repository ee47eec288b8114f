"""The edge agent: what a model on a line sees, sent to the server without hurting the line."""

from sincewhen_edge.agent import EdgeAgent
from sincewhen_edge.settings import SettingsError
from sincewhen_edge.spool import SpoolError

__all__ = ["EdgeAgent", "SettingsError", "SpoolError"]
