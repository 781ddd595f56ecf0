"""Real ZMQ peers: `zmq_peers.py KIND@ENDPOINT …` binds a socket for each, prints where it is, and stays until its input
ends. CURVE and PLAIN are REP sockets behind that mechanism, ANSWERING is one that answers, and `PUSH=N` pushes N numbered
messages as soon as somebody pulls."""

import os
import sys
import threading

import zmq

CONTEXT = zmq.Context()


def peer(kind, endpoint):
    kind, _, count = kind.partition("=")
    socket = CONTEXT.socket(getattr(zmq, kind, zmq.REP))
    socket.linger = -1 if count else 0
    if kind == "CURVE":
        _, socket.curve_secretkey = zmq.curve_keypair()
        socket.curve_server = True
    elif kind == "PLAIN":
        socket.plain_server = True
    socket.bind(endpoint)
    print(socket.last_endpoint.decode(), flush=True)
    if count:
        threading.Thread(target=push, args=(socket, int(count)), daemon=True).start()
    if kind == "ANSWERING":
        threading.Thread(target=answer, args=(socket,), daemon=True).start()
    return socket


def push(socket, count):
    for number in range(count):
        socket.send(b"%d" % number)


def answer(socket):
    while True:
        socket.send(socket.recv())


peers = [peer(*wanted.split("@", 1)) for wanted in sys.argv[1:]]
sys.stdin.read()
os._exit(0)
