"""The built-in demo data: sentences by the project's own seeded generator, so that a first run needs no network."""
