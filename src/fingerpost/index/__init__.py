"""Index: opens the rooms and passes records between them."""
