"""An image archive, offline and without labels: what changed, since when. It may read ahead; nothing else may."""
