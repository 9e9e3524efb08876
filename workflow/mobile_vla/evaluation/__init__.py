"""Scores a policy: errors in command units, and the baselines that it has to beat."""
