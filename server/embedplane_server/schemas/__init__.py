"""Wire types, one module for each API family. They are never passed below `routes/`."""
