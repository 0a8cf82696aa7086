"""Looking again at the candidates: late interaction, features, learned ranking, spans."""
