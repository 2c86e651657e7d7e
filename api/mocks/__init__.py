"""The demo desk and the demo system: FastAPI apps with their state in SQLite and content of our own."""
