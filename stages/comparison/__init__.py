"""Runs against each other: what differs, whether that is more than chance, and how it is shown."""
