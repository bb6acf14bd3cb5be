# Clients that are idle after one request, until the server ends their connections. Arguments: the port, the file of the authority, the version of TLS, and
# how many. Prints `ready`, then how the connections have ended: the ssl module tells close_notify from an end without.
import select
import socket
import ssl
import sys
import time

port, ca, version, count = int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
context = ssl.create_default_context(cafile=ca)
context.minimum_version = context.maximum_version = ssl.TLSVersion[version.replace('.', '_')]
request = b'GET / HTTP/1.1\r\nhost: localhost\r\n\r\n'


def client():
    plain = socket.create_connection(('127.0.0.1', port), timeout=20)
    secure = context.wrap_socket(plain, server_hostname='localhost', suppress_ragged_eofs=False)
    secure.sendall(request)
    text = b''
    while b'}' not in text:
        text += secure.recv(4096)
    return secure


clients = [client() for _ in range(count)]
print('ready', flush=True)
poller = select.epoll()
by_descriptor = {one.fileno(): one for one in clients}
for descriptor in by_descriptor:
    poller.register(descriptor, select.EPOLLIN)
outcomes = {}
first = None
while by_descriptor:
    for descriptor, _ in poller.poll(20):
        first = first or time.monotonic()
        try:
            outcome = 'close_notify' if by_descriptor[descriptor].recv(4096) == b'' else 'content'
        except ssl.SSLWantReadError:
            continue
        except OSError as error:
            outcome = type(error).__name__
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
        poller.unregister(descriptor)
        by_descriptor.pop(descriptor).close()
print(f'ended {outcomes} within {(time.monotonic() - first) * 1000:.0f} ms', flush=True)
