"""What the control connection asks for."""


def messages(request: str) -> list[str]:
    """The messages to publish in one go: "7 2" asks for two of them, numbered 7 and 8."""
    first, count = map(int, request.split())
    return [f"{number:0100}" for number in range(first, first + count)]
