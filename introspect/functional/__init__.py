"""Pure tensor functions, one idea per file, without a model, a tokenizer or I/O."""
