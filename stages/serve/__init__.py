"""An exported model behind HTTP: a small server of predictions."""
