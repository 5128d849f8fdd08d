"""All posteriors of posteriordb with reference draws, sampled at defaults: is each right, and is each clean."""
