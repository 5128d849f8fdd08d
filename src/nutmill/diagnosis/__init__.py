"""What draws say about themselves: signs that they should not be trusted, as sentences that say what to do."""
