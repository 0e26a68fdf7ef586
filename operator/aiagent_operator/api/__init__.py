"""The kinds of group workforce.dev: models, conditions, and the schemas made from them."""
