"""The exported model on its way to the Hub: what may be pushed, and how."""
