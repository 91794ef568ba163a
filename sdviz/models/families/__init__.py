"""Model families: how each encodes text and predicts noise."""
