"""From `conf/` to `params.yaml` to typed objects: the schema, its validation, and the composition."""
