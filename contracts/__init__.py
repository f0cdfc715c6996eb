"""The contract between services: topics, events, money. Depends on pydantic alone."""
