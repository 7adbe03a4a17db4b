"""The report: one self-contained HTML page on a run, or on two and what differs between them."""
