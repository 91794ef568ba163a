"""Care of archives: verify, migrate, merge, remove."""
