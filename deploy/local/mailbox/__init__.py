"""A mail server that delivers nowhere: it keeps what it gets, and shows it on one readable page."""
