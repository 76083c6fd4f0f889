"""State in SQLite. The only package that knows a table; rows never leave it, records do."""
