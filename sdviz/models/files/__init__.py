"""Files of models: where they are, what they hold, and what identifies them."""
