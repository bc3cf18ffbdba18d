"""The seed's handlers, driven by the client of the `websockets` package."""
