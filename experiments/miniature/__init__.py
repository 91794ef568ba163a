"""The miniature: draw a small world, train a small Stable Diffusion on it, measure it, ship it."""
