"""How a model is recognised, and where its compiled code and starts are kept."""
