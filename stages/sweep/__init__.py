"""Sweeps over devices and machines: trials run on Ray, and each ends as an ordinary DVC experiment."""
