# What people do with HTTPS in Python's standard library. Arguments: the port, the file of the authority, and the version of TLS.
import http.client
import json
import socket
import ssl
import sys
import urllib.request

port, ca, version = int(sys.argv[1]), sys.argv[2], sys.argv[3]
context = ssl.create_default_context(cafile=ca)
context.minimum_version = context.maximum_version = ssl.TLSVersion[version.replace('.', '_')]
body = b'a' * 2**20

connection = http.client.HTTPSConnection('localhost', port, context=context, timeout=10)


def ask(method, path, body=None):
    connection.request(method, path, body)
    response = connection.getresponse()
    assert response.status == 200, response.status
    return response.read()


first = json.loads(ask('GET', '/'))
assert first['protocol'] == version, first
assert ask('POST', '/length', body) == b'1048576 bytes, sum 23280\n'
assert ask('GET', '/mebibyte') == body
assert ask('GET', '/stream') == b'one two three\n'
assert json.loads(ask('GET', '/'))['peer'] == first['peer']
session = connection.sock.session
connection.close()
print('feature http.client')

with urllib.request.urlopen(f'https://localhost:{port}/', context=context, timeout=10) as response:
    assert json.loads(response.read())['protocol'] == version
print('feature urllib')

with socket.create_connection(('localhost', port), timeout=10) as plain:
    with context.wrap_socket(plain, server_hostname='localhost', session=session) as secure:
        assert secure.session_reused
        secure.sendall(b'GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n')
        text = b''
        while piece := secure.recv(4096):
            text += piece
        assert b'"isResumed":true' in text, text
        secure.unwrap()  # close_notify of both sides
print('feature resumption')
print('feature close_notify')
