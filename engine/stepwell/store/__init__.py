"""State in SQLite: the only package that knows a table. Rows never leave it; records do."""
