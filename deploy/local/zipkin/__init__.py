"""Traces without containers: Zipkin's server, and a process that gives it what our processes send by OTLP."""
