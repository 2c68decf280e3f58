"""Pure tensor functions, one idea a file: no model, no tokenizer, no I/O."""
