"""Gold and predictions of any system, read from any common format."""
