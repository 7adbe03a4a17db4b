"""Bring the exported model to the Hub: what may be pushed, and how. `stagewright push OWNER/NAME`."""
