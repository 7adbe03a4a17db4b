"""Training and prediction on a CPU without computing padding. README.md beside this file explains the design."""
