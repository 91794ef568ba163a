"""`python -m sdviz.sweep`: one sweep, from the command line to its exit status."""
