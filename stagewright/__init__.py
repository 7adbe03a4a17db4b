"""The `stagewright` command, and projects of one's own."""
