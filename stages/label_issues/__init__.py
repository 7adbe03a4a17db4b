"""The command that names the gold labels that are probably wrong."""
