"""What every stage that opens a run shares: files, settings, data, samples, policy, predictions."""
