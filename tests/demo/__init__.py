"""The demo, driven from outside: by sockets and plain HTTP in test_demo, by a browser in test_page."""
