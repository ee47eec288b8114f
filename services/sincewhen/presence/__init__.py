"""Whether a station that sends nothing is blind, not producing, or nobody can say."""
