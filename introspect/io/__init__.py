"""Reading and writing: streams, lines, files, folders and arrays."""
