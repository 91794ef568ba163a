"""The process that serves the page: Visdom's server with sdviz's routes."""
