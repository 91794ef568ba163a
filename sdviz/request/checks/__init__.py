"""What is checked of a request: each file has one kind of check."""
