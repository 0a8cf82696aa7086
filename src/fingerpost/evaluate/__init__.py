"""Measure on your own data: sets, measures, significance, where every miss was lost, fresh, faithful."""
