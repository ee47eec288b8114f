"""Room 6: detections become incidents."""
