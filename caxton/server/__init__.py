"""The HTTP face: Starlette routes made from the operation table, and the process that serves them."""
