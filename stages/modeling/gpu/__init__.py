"""Training and prediction on a GPU without computing padding, where a trial has shown that it gives the same."""
