"""Bring the exported model to the Hub: what may be pushed, and how. `python -m stages.push OWNER/NAME`."""
