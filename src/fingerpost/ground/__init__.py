"""Answers whose every statement cites verified evidence."""
