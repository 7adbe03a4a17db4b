"""Metrics, and what they are computed from: what validation and the test split share."""
