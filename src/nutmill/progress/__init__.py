"""What a user is told while a run goes on: lines, bars, the status file, words on stderr."""
