"""What a user sees while a run goes on: lines, bars, the status file, words on stderr."""
