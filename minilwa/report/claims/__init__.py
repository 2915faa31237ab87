"""What the paper claims, and the criteria that decide it: each takes what was measured to a decision."""
