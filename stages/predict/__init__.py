"""Predictions for new, unlabelled data with an exported model."""
