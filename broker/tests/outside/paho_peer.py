#!/usr/bin/env python3
"""A peer in Python, with paho-mqtt 2 (pip install paho-mqtt).

    paho_peer.py mqtt://127.0.0.1:1883 lobby alice          MQTT 5.0 over TCP
    paho_peer.py ws://127.0.0.1:8080/mqtt lobby bob 3.1.1   MQTT 3.1.1 over WebSocket

Who has a user name and a password, or a token, puts them into MQTT_USER and MQTT_PASSWORD.

It joins the room and goes through one call, as the first peer or the second, whichever it turns
out to be; a third is told that the room is full. There is no media in it: the descriptions and
candidates are the ones of nobody. Enter ends the call of the first. Whatever should not happen
ends it with an exception, and so does waiting in vain.
"""

import json
import os
import queue
import sys
from urllib.parse import urlsplit

import paho.mqtt.client as mqtt

PATIENCE = 20  # seconds
CANDIDATE = {"candidate": "candidate:1 1 udp 2122260223 192.0.2.1 9 typ host", "sdpMid": "0", "sdpMLineIndex": 0}


class Peer:
    """One connection, one subscription: the peer's inbox."""

    def __init__(self, url, room, me, version):
        self.room, self.me, self.version = room, me, version
        self.happened = queue.Queue()  # what paho's own thread hears
        where = urlsplit(url)
        self.client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2,
            client_id=me,
            protocol=version,
            transport="websockets" if where.scheme == "ws" else "tcp",
        )
        self.client.on_connect = lambda client, data, flags, reason, properties: self.happened.put(("connect", reason))
        self.client.on_subscribe = lambda client, data, mid, codes, properties: self.happened.put(("subscribe", codes[0]))
        self.client.on_message = lambda client, data, message: self.happened.put(("message", message))
        if "MQTT_USER" in os.environ:  # a user and its password, or any name and a token
            self.client.username_pw_set(os.environ["MQTT_USER"], os.environ["MQTT_PASSWORD"])
        if where.scheme == "ws":
            self.client.ws_set_options(path=where.path)
        self.client.connect(where.hostname, where.port)
        self.client.loop_start()
        self.wait_for("connect")
        # First the inbox, then the room: what comes from now on is heard.
        self.client.subscribe(f"rooms/+/{me}/+", qos=1)
        self.wait_for("subscribe")

    def wait_for(self, what):
        kind, detail = self.happened.get(timeout=PATIENCE)
        if kind != what or (kind != "message" and detail.is_failure):
            raise RuntimeError(f"{kind} {detail} in place of {what}")
        return detail

    def send(self, to, message):
        print("->", message["type"], to, flush=True)
        sent = self.client.publish(f"rooms/{self.room}/{to}/{self.me}", json.dumps(message), qos=1)
        sent.wait_for_publish(PATIENCE)

    def expect(self, *types):
        """The next message, which must be of one of these types, and its sender."""
        received = self.wait_for("message")
        _, room, _, sender = received.topic.split("/")
        message = json.loads(received.payload)
        print("<-", message["type"], sender, flush=True)
        if room != self.room or message["type"] not in types:
            raise RuntimeError(f"{message} in place of {types}")
        return message, sender

    def expect_from(self, other, kind):
        message, sender = self.expect(kind)
        if sender != other:
            raise RuntimeError(f"{kind} comes from {sender}, not {other}")
        return message

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


def be_first(peer):
    """Whoever receives `ready` makes the offer."""
    arrived = peer.expect_from("agent", "arrived")
    other = arrived["peer"]["id"]
    peer.expect_from(other, "ready")
    peer.send(other, {"type": "offer", "sdp": "v=0\r\n"})
    assert peer.expect_from(other, "answer")["sdp"] == "v=0\r\n"
    assert peer.expect_from(other, "candidate")["candidate"] == CANDIDATE
    peer.send(other, {"type": "candidate", "candidate": CANDIDATE})
    sys.stdin.readline()
    peer.send(other, {"type": "bye"})
    left = peer.expect_from("agent", "left")
    assert (left["peer"], left["reason"]) == (other, "left"), left
    peer.send("agent", {"type": "leave"})


def be_second(peer, other):
    peer.send(other, {"type": "ready"})
    assert peer.expect_from(other, "offer")["sdp"] == "v=0\r\n"
    peer.send(other, {"type": "answer", "sdp": "v=0\r\n"})
    peer.send(other, {"type": "candidate", "candidate": CANDIDATE})
    assert peer.expect_from(other, "candidate")["candidate"] == CANDIDATE
    peer.expect_from(other, "bye")
    peer.send("agent", {"type": "leave"})


def main(url, room, me, version="5.0"):
    peer = Peer(url, room, me, {"3.1.1": mqtt.MQTTv311, "5.0": mqtt.MQTTv5}[version])
    peer.send("agent", {"type": "join", "info": {"kind": "script"}})
    answer, _ = peer.expect("created", "joined", "full")
    if answer["type"] == "created":
        be_first(peer)
    elif answer["type"] == "joined":
        be_second(peer, answer["peer"]["id"])
    peer.close()


main(*sys.argv[1:])
