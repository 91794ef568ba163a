"""`python -m sdviz.live`: a model that stays loaded, and a form on the page."""
