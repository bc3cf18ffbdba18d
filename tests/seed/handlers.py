"""Every handler of the seed, line by line, with only Rust's syntax turned into Python's.

What `.is_err()` asks is an `except ConnectionClosed`. What `let _ =` throws away may escape, as that ends a
handler normally, and is suppressed only where the seed has something left to do.
"""

import asyncio
import random
import time
from contextlib import suppress
from dataclasses import dataclass

from hyperws import SEC_WEBSOCKET_KEY, ConnectionClosed, Context, Server

# The seed's numbers, times in seconds: named, so that a test can shorten them.
DATA_MESSAGES = 100
DATA_INTERVAL = 0.1
MARKET_ROUNDS = 1000
MARKET_INTERVAL = 0.05
HEARTBEAT_INTERVAL = 30.0
RECEIVE_DELAY = 0.1


# ------------------------------------------------------------------ WebSocket protocol mastery


async def websocket_handler(ctx: Context) -> None:
    key = ctx.get_request_header(SEC_WEBSOCKET_KEY)
    request_body = await ctx.get_request_body()

    await ctx.set_response_body(key).send_body()

    await ctx.set_response_body(request_body).send_body()


async def chat_websocket_handler(ctx: Context) -> None:
    client_addr = ctx.get_socket_addr_or_default_string()

    welcome_msg = f"Welcome to chat, client: {client_addr}"
    await ctx.set_response_body(welcome_msg).send_body()

    while True:
        request_body = await ctx.get_request_body()

        if not request_body:
            break

        message = request_body.decode(errors="replace")
        response = f"Echo: {message}"

        try:
            await ctx.set_response_body(response).send_body()
        except ConnectionClosed:
            break


async def real_time_data_handler(ctx: Context) -> None:
    await ctx.set_response_body("Connected to real-time data stream").send_body()

    for i in range(DATA_MESSAGES):
        data = (
            f'{{"timestamp": {current_timestamp()}, '
            f'"value": {random.random() * 100.0}, '
            f'"sequence": {i}}}'
        )

        try:
            await ctx.set_response_body(data).send_body()
        except ConnectionClosed:
            break

        await asyncio.sleep(DATA_INTERVAL)


def current_timestamp() -> int:
    return int(time.time())


def create_server(host: str = "0.0.0.0", port: int = 60000) -> Server:
    """The seed's `main` up to its `run()`, and routes for the handlers that the seed does not mount."""
    server = Server()
    server.host(host)
    server.port(port)

    server.enable_nodelay()
    server.disable_linger()
    server.ws_buffer_size(4096)

    server.route("/ws", websocket_handler)
    server.route("/chat", chat_websocket_handler)
    server.route("/data", real_time_data_handler)

    server.route("/mux", multiplexed_websocket_handler)
    server.route("/broadcast", broadcast_websocket_handler)
    server.route("/game", game_websocket_handler)
    server.route("/resilient", resilient_websocket_handler)
    server.route("/trading", trading_websocket_handler)
    server.route("/collab", collaboration_websocket_handler)
    return server


# ---------------------------------------------------------------- advanced WebSocket patterns


async def multiplexed_websocket_handler(ctx: Context) -> None:
    client_id = generate_client_id()

    welcome = f'{{"type": "welcome", "client_id": "{client_id}"}}'
    await ctx.set_response_body(welcome).send_body()

    while True:
        request_body = await ctx.get_request_body()

        if not request_body:
            break

        match parse_message(request_body):
            case MessageType.Chat(content):
                response = f'{{"type": "chat", "content": "{content}"}}'
                await ctx.set_response_body(response).send_body()
            case MessageType.Command(cmd):
                result = await execute_command(cmd)
                response = f'{{"type": "command_result", "result": "{result}"}}'
                await ctx.set_response_body(response).send_body()
            case MessageType.Ping():
                pong = '{"type": "pong"}'
                await ctx.set_response_body(pong).send_body()
            case MessageType.Unknown():
                error = '{"type": "error", "message": "Unknown message type"}'
                await ctx.set_response_body(error).send_body()


class MessageType:
    @dataclass
    class Chat:
        content: str

    @dataclass
    class Command:
        cmd: str

    @dataclass
    class Ping:
        pass

    @dataclass
    class Unknown:
        pass


def parse_message(
    data: bytes,
) -> MessageType.Chat | MessageType.Command | MessageType.Ping | MessageType.Unknown:
    message = data.decode(errors="replace")

    if '"type":"chat"' in message:
        if (start := message.find('"content":"')) >= 0:
            content_start = start + 11
            if (end := message.find('"', content_start)) >= 0:
                content = message[content_start:end]
                return MessageType.Chat(content)
    elif '"type":"command"' in message:
        if (start := message.find('"command":"')) >= 0:
            cmd_start = start + 11
            if (end := message.find('"', cmd_start)) >= 0:
                cmd = message[cmd_start:end]
                return MessageType.Command(cmd)
    elif '"type":"ping"' in message:
        return MessageType.Ping()

    return MessageType.Unknown()


async def execute_command(cmd: str) -> str:
    match cmd:
        case "status":
            return "Server is running"
        case "time":
            return f"Current time: {current_timestamp()}"
        case "memory":
            return "Memory usage: 95MB"
        case _:
            return "Unknown command"


def generate_client_id() -> str:
    return f"client_{random.getrandbits(32)}"


# ------------------------------------------------------- broadcasting and group communication


async def broadcast_websocket_handler(ctx: Context) -> None:
    client_id = generate_client_id()

    join_msg = f'{{"type": "joined", "client_id": "{client_id}"}}'
    await ctx.set_response_body(join_msg).send_body()

    while True:
        request_body = await ctx.get_request_body()

        if not request_body:
            break

        message = request_body.decode(errors="replace")

        # Back to its sender alone: the seed leaves the others to "a real implementation".
        broadcast_msg = f'{{"type": "broadcast", "from": "{client_id}", "message": "{message}"}}'

        await ctx.set_response_body(broadcast_msg).send_body()

    leave_msg = f'{{"type": "left", "client_id": "{client_id}"}}'
    await ctx.set_response_body(leave_msg).send_body()


async def game_websocket_handler(ctx: Context) -> None:
    player_id = generate_client_id()

    join_game = f'{{"type": "player_joined", "player_id": "{player_id}"}}'
    await ctx.set_response_body(join_game).send_body()

    while True:
        request_body = await ctx.get_request_body()

        if not request_body:
            break

        action = request_body.decode(errors="replace")
        game_state = await process_game_action(player_id, action)

        response = f'{{"type": "game_state", "state": "{game_state}"}}'
        await ctx.set_response_body(response).send_body()

    leave_game = f'{{"type": "player_left", "player_id": "{player_id}"}}'
    await ctx.set_response_body(leave_game).send_body()


async def process_game_action(player_id: str, action: str) -> str:
    await asyncio.sleep(0.010)
    return f"Player {player_id} performed action: {action}"


# --------------------------------------------------- error handling and connection management


async def resilient_websocket_handler(ctx: Context) -> None:
    client_addr = ctx.get_socket_addr_or_default_string()

    ack = f'{{"type": "connected", "client": "{client_addr}"}}'
    try:
        await ctx.set_response_body(ack).send_body()
    except ConnectionClosed:
        return

    next_heartbeat = asyncio.get_running_loop().time()   # tokio's interval ticks at once
    message_count = 0

    while True:
        # `tokio::select!` between two timers: whichever is over first.
        try:
            async with asyncio.timeout_at(next_heartbeat):
                await asyncio.sleep(RECEIVE_DELAY)
        except TimeoutError:
            next_heartbeat += HEARTBEAT_INTERVAL
            heartbeat = f'{{"type": "heartbeat", "count": {message_count}}}'
            try:
                await ctx.set_response_body(heartbeat).send_body()
            except ConnectionClosed:
                break
        else:
            request_body = await ctx.get_request_body()

            if not request_body:
                continue    # of a lost connection too, so that the next heartbeat is what ends the loop

            message_count += 1

            try:
                response = await process_websocket_message(request_body)
            except ValueError as e:
                error_msg = f'{{"type": "error", "message": "{e}"}}'
                with suppress(ConnectionClosed):
                    await ctx.set_response_body(error_msg).send_body()
            else:
                try:
                    await ctx.set_response_body(response).send_body()
                except ConnectionClosed:
                    break

    print(f"WebSocket connection closed for {client_addr}")


async def process_websocket_message(data: bytes) -> str:
    message = data.decode(errors="replace")

    if len(message.encode()) > 1024:    # Rust counts bytes
        raise ValueError("Message too long")

    if not message.strip():
        raise ValueError("Empty message")

    return f'{{"type": "processed", "original": "{message}"}}'


# -------------------------------------------------------------- real-world application examples


async def trading_websocket_handler(ctx: Context) -> None:
    trader_id = generate_client_id()

    sub_confirm = f'{{"type": "subscribed", "trader_id": "{trader_id}"}}'
    await ctx.set_response_body(sub_confirm).send_body()

    symbols = ["AAPL", "GOOGL", "MSFT", "AMZN"]

    for _ in range(MARKET_ROUNDS):
        for symbol in symbols:
            price = 100.0 + random.random() * 50.0
            volume = random.getrandbits(32) % 10000 + 1000

            market_data = (
                f'{{"type": "market_data", "symbol": "{symbol}", "price": {price:.2f}, '
                f'"volume": {volume}, "timestamp": {current_timestamp()}}}'
            )

            try:
                await ctx.set_response_body(market_data).send_body()
            except ConnectionClosed:
                return

        await asyncio.sleep(MARKET_INTERVAL)


async def collaboration_websocket_handler(ctx: Context) -> None:
    user_id = generate_client_id()

    join_doc = f'{{"type": "user_joined", "user_id": "{user_id}"}}'
    await ctx.set_response_body(join_doc).send_body()

    while True:
        request_body = await ctx.get_request_body()

        if not request_body:
            break

        operation = request_body.decode(errors="replace")
        result = await apply_document_operation(user_id, operation)

        response = f'{{"type": "operation_result", "result": "{result}"}}'
        await ctx.set_response_body(response).send_body()

    leave_doc = f'{{"type": "user_left", "user_id": "{user_id}"}}'
    await ctx.set_response_body(leave_doc).send_body()


async def apply_document_operation(user_id: str, operation: str) -> str:
    await asyncio.sleep(0.005)
    return f"Applied operation by {user_id}: {operation}"
