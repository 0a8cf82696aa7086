"""Traces, metrics, spans and the query log: what was done for a query, told to whoever should know."""
