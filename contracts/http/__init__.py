"""Bodies of HTTP requests and answers between the gateway and the services. Each is defined here, and nowhere else.

A service reads its requests with these classes and answers with them; the gateway calls with them. Money is integer
minor units with an ISO 4217 currency, quantities and percents are decimal texts, times are aware and sent in UTC.
"""
