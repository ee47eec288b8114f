"""All metrics of the embedded server."""

from prometheus_client import Counter, Gauge

RECORDS = Counter("sincewhen_records", "Records taken from the log")
FRAMES = Counter("sincewhen_frames", "Frames counted, each once")
DEAD_LETTERS = Counter("sincewhen_dead_letters", "Records refused", ["reason"])
DETECTIONS = Counter("sincewhen_detections", "Versions of detections made")
OPEN_INCIDENTS = Gauge("sincewhen_open_incidents", "Incidents that are open", ["station"])
LAG = Gauge("sincewhen_log_lag_records", "Records in the log that are not applied yet")
LATE_SUMS = Gauge("sincewhen_late_sums", "10 s sums that came too late for line and plant means", ["site"])
STORE_UNWELL = Counter("sincewhen_store_unwell", "Writes that the store refused and that are tried again")
AGENT_DROPPED = Gauge(
    "sincewhen_agent_dropped_frames", "Frames an agent dropped since its start", ["station", "reason"]
)
AGENT_SPOOL = Gauge("sincewhen_agent_spool_bytes", "Bytes in an agent's spool", ["station"])
