"""Scores a policy: errors in raw command units, and the baselines that it has to beat."""
