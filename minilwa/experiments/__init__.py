"""The paper's experiments: each file declares what to train, what to measure, and what the paper found."""
