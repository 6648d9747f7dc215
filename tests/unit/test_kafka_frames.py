"""Answers of a broker arrive whole and in order, in whatever pieces the socket gives them."""

import asyncio
import struct
import weakref
from collections.abc import Callable

import pytest
from aiokafka.conn import READER_LIMIT
from hypothesis import given
from hypothesis import strategies as st

from services.chassis.kafka_frames import FrameProtocol


class Listener:
    def __init__(self, wanted: int = 1_000) -> None:
        self.wanted = wanted
        self.answers = list[bytes]()

    def take(self, answer: bytes) -> bool:
        self.answers.append(answer)
        return len(self.answers) < self.wanted


def protocol_for(listener: Listener) -> FrameProtocol:
    loop = asyncio.new_event_loop()
    protocol = FrameProtocol(loop.create_future(), asyncio.StreamReader(READER_LIMIT, loop), loop)
    loop.close()
    protocol.hand_over(weakref.WeakMethod(listener.take))
    return protocol


def receive(protocol: FrameProtocol, sent: bytes, piece: Callable[[], int]) -> None:
    """What a socket does: fills of the room what it has."""
    while sent:
        room = protocol.get_buffer(-1)
        count = min(len(room), len(sent), piece())
        assert count > 0
        room[:count], sent = sent[:count], sent[count:]
        protocol.buffer_updated(count)


def frame(answer: bytes) -> bytes:
    return struct.pack(">i", len(answer)) + answer


@given(st.lists(st.binary(max_size=9) | st.integers(0, 200_000).map(lambda n: b"x" * n), max_size=8), st.data())
def test_answers_arrive_whole_and_in_order(answers: list[bytes], data: st.DataObject) -> None:
    listener = Listener()
    protocol = protocol_for(listener)
    receive(protocol, b"".join(map(frame, answers)), lambda: data.draw(st.sampled_from([1, 3, 4, 70_000, 1 << 20])))
    assert listener.answers == answers


def test_room_is_made_for_a_large_answer_at_once_and_given_back_behind_it() -> None:
    listener = Listener()
    protocol = protocol_for(listener)
    large = frame(b"x" * 5_000_000)
    receive(protocol, large[:65_536], lambda: 65_536)
    assert len(protocol.get_buffer(-1)) == len(large) - 65_536
    receive(protocol, large[65_536:], lambda: 1 << 30)
    assert listener.answers == [b"x" * 5_000_000]
    assert len(protocol.get_buffer(-1)) == 65_536


@pytest.mark.parametrize("sent", [b"HTTP/1.1 400 Bad Request", b"\x15\x03\x03\x00\x02\x02\x28", b"\xff\xff\xff\xff"])
def test_what_is_no_broker_is_found_out_by_its_first_bytes(sent: bytes) -> None:
    with pytest.raises(ConnectionAbortedError, match="this is no Kafka broker"):
        receive(protocol_for(Listener()), sent, lambda: 1_000)


def test_nothing_is_handed_over_when_nobody_listens_any_more() -> None:
    listener = Listener(wanted=1)
    protocol = protocol_for(listener)
    receive(protocol, frame(b"1") + frame(b"x" * 200_000), lambda: 1 << 20)
    assert listener.answers == [b"1"]
    receive(protocol, frame(b"3"), lambda: 1_000)  # what still comes before the socket is closed
    assert listener.answers == [b"1"]
    assert len(protocol.get_buffer(-1)) == 65_536
    gone = protocol_for(Listener())  # nothing else holds that listener
    receive(gone, frame(b"1"), lambda: 1_000)
