"""Single-file checkpoints: what their tensors are, and which model they make."""
