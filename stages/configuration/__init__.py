"""From `conf/` to `params.yaml` to typed objects to a stage that runs: schema, validation, composition."""
