"""What several test packages share: waiting, a real daemon in a temporary home."""
