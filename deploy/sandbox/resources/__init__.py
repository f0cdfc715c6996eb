"""One file per resource, each with its shape, its verbs and its ROUTES."""
