"""`real_time_data_handler` and `trading_websocket_handler`: they send by themselves, up to their end."""

import re

from . import handlers
from .conftest import from_json, rest


async def test_the_data_stream_has_no_gap_and_ends(client, monkeypatch):
    monkeypatch.setattr(handlers, "DATA_INTERVAL", 0)
    async with client("/data") as websocket:
        confirmation, *stream = await rest(websocket)
    assert confirmation == "Connected to real-time data stream"
    stream = [from_json(message) for message in stream]
    assert [data["sequence"] for data in stream] == list(range(100))
    for data in stream:
        assert data.keys() == {"timestamp", "value", "sequence"}
        assert isinstance(data["timestamp"], int)
        assert 0 <= data["value"] < 100


async def test_market_data_takes_turns_between_the_symbols_and_ends(client, monkeypatch):
    monkeypatch.setattr(handlers, "MARKET_INTERVAL", 0)
    async with client("/trading") as websocket:
        confirmation, *stream = await rest(websocket)
    confirmation = from_json(confirmation)
    assert confirmation.pop("trader_id").startswith("client_")
    assert confirmation == {"type": "subscribed"}
    assert all(re.search(r'"price": 1\d\d\.\d\d,', message) for message in stream)
    stream = [from_json(message) for message in stream]
    assert [data["symbol"] for data in stream] == ["AAPL", "GOOGL", "MSFT", "AMZN"] * 1000
    for data in stream:
        assert data.keys() == {"type", "symbol", "price", "volume", "timestamp"}
        assert data["type"] == "market_data"
        assert 100 <= data["price"] <= 150
        assert 1000 <= data["volume"] < 11000
        assert isinstance(data["timestamp"], int)
