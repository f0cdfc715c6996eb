"""docs/money.md: its tables are made by walking the services' own decisions, so that they are what the code does."""
