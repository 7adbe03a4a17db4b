"""Scores, through local `evaluate` metrics: nothing is fetched or run from the Hub."""
