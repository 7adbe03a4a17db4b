"""Scores, computed here: nothing is fetched or run from the Hub. Labels and entities are local `evaluate` metrics."""
