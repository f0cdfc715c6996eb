"""Every SQL statement of the payment service, by what it is about. Sets in, sets out."""
