"""Room 4: positions become detections at a controlled false-page budget."""
