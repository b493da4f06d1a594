"""wsgi.py keystone|placement FOLDER PORT: the service's WSGI application behind Python's own HTTP server, a thread a request.

No web server to install, and no user of its own that would have to enter our state folder.
"""
import os
import socketserver
import sys
from wsgiref import simple_server

name, folder, port = sys.argv[1:]
if name == 'keystone':
    os.environ['OS_KEYSTONE_CONFIG_DIR'] = folder
    sys.argv[1:] = []
    from keystone.server.wsgi import initialize_public_application as make
else:
    os.environ['OS_PLACEMENT_CONFIG_DIR'] = folder
    sys.argv[1:] = []
    from placement.wsgi import init_application as make


class Server(socketserver.ThreadingMixIn, simple_server.WSGIServer):
    daemon_threads = True
    request_queue_size = 256


class Handler(simple_server.WSGIRequestHandler):
    def log_message(self, *args):
        pass

    def address_string(self):
        return self.client_address[0]


simple_server.make_server('127.0.0.1', int(port), make(), Server, Handler).serve_forever()
