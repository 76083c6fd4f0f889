"""How Stepwell is extended: the interfaces, how implementations are found, and the ones it ships."""
