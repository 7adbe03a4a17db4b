"""Tags that mark entities: their schemes, and the entities that they mark."""
