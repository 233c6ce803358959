"""A node's store: events kept in SQLite or in memory, audited, retained, erased."""
