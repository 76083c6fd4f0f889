"""Small models that the laws are checked against. They import nothing of what they are a model of."""
