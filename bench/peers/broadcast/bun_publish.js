// Bun: its own topics.
const server = Bun.serve({
    hostname: "127.0.0.1",
    port: Number(process.argv[2]),
    fetch: (request, server) => {
        server.upgrade(request, { data: new URL(request.url).pathname });
    },
    websocket: {
        open(socket) {
            if (socket.data === "/") socket.subscribe("feed");
        },
        message(_, request) {
            const [first, count] = request.split(" ").map(Number);
            for (let number = first; number < first + count; number++)
                server.publish("feed", String(number).padStart(100, "0"));
        },
    },
});
