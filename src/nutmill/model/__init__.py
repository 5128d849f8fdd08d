"""From a model to native code: graph, lean ops, lowering, fusing, and the compiled model."""
