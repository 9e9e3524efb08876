"""What to do next: rules that look at the results, each of which advises something or nothing."""
