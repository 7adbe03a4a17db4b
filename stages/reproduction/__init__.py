"""`dvc repro` with what DVC lacks: one run at a time, repair of what a killed run left, and no orphans."""
