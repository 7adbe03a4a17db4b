"""Models, batches and predictions: what training and evaluation share."""
