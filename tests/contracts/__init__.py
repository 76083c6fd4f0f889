"""What the code must keep to, checked by reading it rather than by running it."""
