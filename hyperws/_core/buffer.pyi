# Only other compiled modules use this one: Python sees nothing in it.
