"""Stagewright: a DVC pipeline that fine-tunes transformer encoders, in five stages."""
