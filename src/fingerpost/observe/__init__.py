"""Traces: what was done for a query, stage by stage, and how long it took."""
