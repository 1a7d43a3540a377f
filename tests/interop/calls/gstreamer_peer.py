"""The side of GStreamer's webrtcbin, and of libnice under it, of the calls that call_peers.py describes."""

import json
import sys
import threading
from urllib.parse import quote

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstWebRTC", "1.0")
gi.require_version("GstSdp", "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # noqa: E402

A_SECOND = 1
CONNECTION_STATES = ("new", "connecting", "connected", "disconnected", "failed", "closed")
COMPLETE = GstWebRTC.WebRTCICEGatheringState.COMPLETE


def main():
    Gst.init(None)
    loop, calls = GLib.MainLoop(), {}
    threading.Thread(target=read_orders, args=(loop, calls), daemon=True).start()
    loop.run()
    for call in calls.values():
        call.pipeline.set_state(Gst.State.NULL)


def read_orders(loop, calls):
    for line in sys.stdin:
        GLib.idle_add(obey, calls, json.loads(line))
    GLib.idle_add(loop.quit)


def obey(calls, order):
    if "begin" in order:
        calls[order["call"]] = Call(order)
    else:
        calls[order["call"]].take_description(**order["description"])


def say(call, **what):
    # in one piece: print() writes the end of the line by itself, and GStreamer's threads call this at the same time
    sys.stdout.write(json.dumps({"call": call, **what}) + "\n")
    sys.stdout.flush()


class Call:
    """One webrtcbin. Its signals come from threads of its own, and are brought to the main loop."""

    def __init__(self, order):
        self.name, self.channel = order["call"], None
        self.pipeline, self.bin = Gst.Pipeline.new(), Gst.ElementFactory.make("webrtcbin")
        self.bin.set_property("ice-transport-policy", GstWebRTC.WebRTCICETransportPolicy.RELAY)
        self.bin.set_property("bundle-policy", GstWebRTC.WebRTCBundlePolicy.MAX_BUNDLE)
        self.bin.set_property("turn-server", turn_uri(**order))
        self.pipeline.add(self.bin)
        self.bin.connect("notify::connection-state", lambda *_: self.say_state())
        self.bin.connect("notify::ice-gathering-state", lambda *_: GLib.idle_add(self.say_description))
        self.bin.connect("on-data-channel", lambda _, channel: GLib.idle_add(self.attend, channel))
        self.pipeline.set_state(Gst.State.PLAYING)
        if order["begin"] == "offer":
            self.attend(self.bin.emit("create-data-channel", "echo", None))
            self.describe("offer")

    def say_state(self):
        say(self.name, state=CONNECTION_STATES[int(self.bin.get_property("connection-state"))])

    def describe(self, kind):
        def on_made(promise):
            # what the value points to is the reply's: it has to live as long
            reply = promise.get_reply()
            self.bin.emit("set-local-description", reply.get_value(kind), Gst.Promise.new())

        self.bin.emit(f"create-{kind}", None, Gst.Promise.new_with_change_func(on_made))

    def say_description(self):
        """Says the description with all candidates in it."""
        if self.bin.get_property("ice-gathering-state") == COMPLETE:
            full = self.bin.get_property("local-description")
            kind = GstWebRTC.webrtc_sdp_type_to_string(full.type)
            say(self.name, description={"type": kind, "sdp": full.sdp.as_text()})

    def take_description(self, type, sdp):
        kind = {"offer": GstWebRTC.WebRTCSDPType.OFFER, "answer": GstWebRTC.WebRTCSDPType.ANSWER}[type]
        _, message = GstSdp.SDPMessage.new_from_text(sdp)

        def on_set(_):
            if type == "offer":
                self.describe("answer")

        description = GstWebRTC.WebRTCSessionDescription.new(kind, message)
        self.bin.emit("set-remote-description", description, Gst.Promise.new_with_change_func(on_set))

    def attend(self, channel):
        self.channel = channel
        channel.connect("on-message-string", lambda _, text: GLib.idle_add(self.take_message, text))
        channel.connect("on-open", lambda _: GLib.idle_add(self.start))
        if channel.get_property("ready-state") == GstWebRTC.WebRTCDataChannelState.OPEN:
            self.start()

    def take_message(self, text):
        word, number = text.split()
        if word == "ping":
            self.channel.emit("send-string", f"echo {number}")
        else:
            say(self.name, heard=int(number))

    def start(self):
        if self.sent == 0:
            self.ping()
            GLib.timeout_add_seconds(A_SECOND, self.ping)

    sent = 0

    def ping(self):
        self.sent += 1
        self.channel.emit("send-string", f"ping {self.sent}")
        say(self.name, sent=self.sent)
        return True


def turn_uri(host, port, transport, username, credential, **_):
    """GStreamer's URI, in which a user name's colon and what base64 is made of are escaped."""
    return f"turn://{quote(username, safe='')}:{quote(credential, safe='')}@{host}:{port}?transport={transport}"


main()
