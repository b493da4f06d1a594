"""python -m bed STATE ADDRESS PORT: serves AWS's services at ADDRESS:PORT until it is ended."""
import os
import sys

from .layer import Layer
from .stage import Stage


def main():
    state, address, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
    # moto asks nothing of the network, whatever the machine's proxy is.
    os.environ.update(AWS_EC2_METADATA_DISABLED='true', NO_PROXY='*')
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        def log_request(self, *_):
            pass

        # The layer says which time it is at AWS.
        def send_header(self, keyword, value):
            if keyword != 'Date':
                super().send_header(keyword, value)

    stage = Stage(state, address, port)
    server = make_server(address, port, Layer(stage), threaded=True, request_handler=Quiet)
    print('serving at port %d' % port, flush=True)
    server.serve_forever()


main()
