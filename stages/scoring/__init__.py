"""Scores, computed here: nothing is fetched or run from the Hub."""
