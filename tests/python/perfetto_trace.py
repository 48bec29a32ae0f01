"""Decodes a trace with Perfetto's own classes and prints it as lines of JSON.

Words that the trace interns are put in place; a field that the classes do not
know ends it with an error.
"""

import json
import sys

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet
from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace, TrackEvent


def known(message, path):
    """Fails on a field that is not in the format."""
    for field in UnknownFieldSet(message):
        sys.exit(f"{path}: unknown field {field.field_number}")
    for descriptor, value in message.ListFields():
        if isinstance(value, Message):
            values = [value]
        elif descriptor.message_type is not None:
            values = value
        else:
            continue
        for inner in values:
            known(inner, f"{path}.{descriptor.name}")


class Words:
    """What the packets so far have interned."""

    def __init__(self):
        self.tables = {}

    def take(self, packet):
        if packet.sequence_flags & 1:
            self.tables = {}
        for table in ("event_names", "event_categories", "debug_annotation_names"):
            for entry in getattr(packet.interned_data, table):
                words = self.tables.setdefault(table, {})
                assert entry.iid not in words, f"{table} {entry.iid} twice"
                words[entry.iid] = entry.name

    def get(self, table, iid):
        return self.tables[table][iid]


def track_event(packet, words):
    event = packet.track_event
    shown = {
        "what": "track_event",
        "ts": packet.timestamp,
        "type": TrackEvent.Type.Name(event.type).removeprefix("TYPE_"),
        "track": event.track_uuid,
        "from": list(event.flow_ids),
        "to": list(event.terminating_flow_ids),
    }
    if event.HasField("name_iid"):
        shown["name"] = words.get("event_names", event.name_iid)
        shown["categories"] = [
            words.get("event_categories", iid) for iid in event.category_iids
        ]
    if event.HasField("counter_value"):
        shown["value"] = event.counter_value
    shown["fields"] = {
        words.get("debug_annotation_names", field.name_iid): field.string_value
        for field in event.debug_annotations
    }
    return shown


def main(path):
    trace = Trace()
    with open(path, "rb") as file:
        trace.ParseFromString(file.read())
    words = Words()
    for packet in trace.packet:
        known(packet, "packet")
        assert packet.trusted_packet_sequence_id == 1
        words.take(packet)
        what = packet.WhichOneof("data")
        if what == "track_event":
            print(json.dumps(track_event(packet, words)))
        elif what == "ftrace_events":
            for event in packet.ftrace_events.event:
                name = event.WhichOneof("event")
                fields = MessageToDict(
                    getattr(event, name), preserving_proto_field_name=True
                )
                shown = {
                    "what": "ftrace",
                    "ts": event.timestamp,
                    "cpu": packet.ftrace_events.cpu,
                    "pid": event.pid,
                    "name": name,
                    "fields": fields,
                }
                print(json.dumps(shown))
        else:
            fields = MessageToDict(
                getattr(packet, what), preserving_proto_field_name=True
            )
            print(json.dumps({"what": what, "fields": fields}))


main(sys.argv[1])
