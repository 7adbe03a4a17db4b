"""Label errors: which gold labels are probably wrong, by what a model says that was not trained on them."""
