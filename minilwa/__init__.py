"""minilwa: the paper "Learning with Adversary" as code that can be read beside it."""
