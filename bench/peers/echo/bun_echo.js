// Bun: its own WebSockets, which are uWebSockets, without compression.
Bun.serve({
    hostname: "127.0.0.1",
    port: Number(process.argv[2]),
    fetch: (request, server) => {
        server.upgrade(request);
    },
    websocket: {
        message(socket, message) {
            socket.send(message);
        },
    },
});
