"""How long an epoch takes, measured over a few real steps."""
