"""Bytes: hashing them, remembering their hashes, freezing folders, keeping what steps make."""
