"""Where data and base models come from, and the one canonical form that they are brought into."""
