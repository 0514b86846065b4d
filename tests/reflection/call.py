#!/usr/bin/env python3
"""Calls any method of a gRPC server, made from nothing but the server's reflection.

    python3 call.py ADDRESS SERVICE/METHOD [JSON ...] [--messages N]

Each JSON is one request message (canonical protobuf JSON); each answer is printed as JSON on a line.
A stream of answers ends by itself, or after N of them. A refusal is printed on standard error with
its code and the error details, and the exit code is 1. Needs `pip install grpcio grpcio-reflection`.
"""

import argparse
import sys

import grpc
from google.protobuf import descriptor_pool, json_format, message_factory
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("address")
    arguments.add_argument("method")
    arguments.add_argument("requests", nargs="*", default=["{}"])
    arguments.add_argument("--messages", type=int, default=None)
    chosen = arguments.parse_args()

    with grpc.insecure_channel(chosen.address) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        pool = descriptor_pool.DescriptorPool(database)
        service, _, name = chosen.method.partition("/")
        method = pool.FindServiceByName(service).FindMethodByName(name)
        request_class = message_factory.GetMessageClass(method.input_type)
        response_class = message_factory.GetMessageClass(method.output_type)
        requests = [
            json_format.Parse(text, request_class(), descriptor_pool=pool)
            for text in chosen.requests
        ]
        call = channel.stream_stream(
            f"/{service}/{name}",
            request_serializer=request_class.SerializeToString,
            response_deserializer=response_class.FromString,
        )
        answers = call(iter(requests), timeout=60)
        try:
            for number, answer in enumerate(answers, 1):
                print(json_format.MessageToJson(answer, indent=None, descriptor_pool=pool))
                if number == chosen.messages:
                    answers.cancel()
                    break
        except grpc.RpcError as error:
            print(f"{error.code().name}: {error.details()}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
