"""picows: a loop over the transports, which send at once; it has no way to send several frames together."""

from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server

from bench.peers._uvloop import serve
from bench.peers.broadcast._messages import messages

subscribers: set[WSTransport] = set()


class Subscriber(WSListener):
    def on_ws_connected(self, transport: WSTransport) -> None:
        subscribers.add(transport)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        subscribers.discard(transport)


class Control(WSListener):
    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type != WSMsgType.TEXT:
            return
        for message in messages(frame.get_payload_as_utf8_text()):
            encoded = message.encode()
            for subscriber in subscribers:
                subscriber.send(WSMsgType.TEXT, encoded)


def listener(request: WSUpgradeRequest) -> WSListener:
    return Control() if request.path == b"/control" else Subscriber()


serve(lambda port: ws_create_server(listener, "127.0.0.1", port))
