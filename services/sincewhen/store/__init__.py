"""Room 7: the only room that speaks SQL."""
