"""The metadata service of each instance, version 2 only where the instance says so ("Use IMDSv2"). It listens at a port of its own."""
import json
import secrets
import threading
import time
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def stamp(at):
    return datetime.fromtimestamp(at, timezone.utc).strftime('%Y-%m-%dT%H:%M:%SZ')


class Metadata:
    def __init__(self, stage):
        self.stage = stage
        self.servers, self.notices, self.advice = {}, {}, {}

    def serve(self, one):
        """Begins to answer for an instance; its port."""
        server = ThreadingHTTPServer(('127.0.0.1', 0), type('Of', (Handler,), {'metadata': self, 'instance': one, 'tokens': {}}))
        server.daemon_threads = True
        self.servers[one.id] = server
        threading.Thread(target=server.serve_forever, kwargs={'poll_interval': 0.2}, daemon=True).start()
        return server.server_address[1]

    def port(self, id):
        return self.servers[id].server_address[1] if id in self.servers else None

    def close(self, id):
        server = self.servers.pop(id, None)
        if server:
            threading.Thread(target=lambda: (server.shutdown(), server.server_close()), daemon=True).start()

    def announce(self, id, at):
        self.notices[id] = at

    def rebalance(self, id):
        self.advice[id] = time.time()

    def tree(self, one):
        """What is below /latest/, by path. A path that ends with a slash is a folder."""
        stage = self.stage
        mac = '02:00:00:' + ':'.join(one.interface[-6:][n:n + 2] for n in (0, 2, 4))
        found = {
            'meta-data/ami-id': one.image, 'meta-data/ami-launch-index': str(one.index), 'meta-data/instance-id': one.id,
            'meta-data/instance-life-cycle': one.purchase, 'meta-data/instance-type': one.type, 'meta-data/local-ipv4': one.address,
            'meta-data/local-hostname': 'ip-%s.%s.compute.internal' % (one.address.replace('.', '-'), stage.region), 'meta-data/mac': mac,
            'meta-data/placement/availability-zone': one.zone, 'meta-data/placement/region': stage.region,
            'meta-data/reservation-id': one.reservation, 'meta-data/security-groups': '\n'.join(g['GroupName'] for g in one.groups),
            'meta-data/services/domain': 'amazonaws.com', 'meta-data/services/partition': 'aws',
            'dynamic/instance-identity/document': json.dumps({
                'accountId': stage.account, 'architecture': one.architecture, 'availabilityZone': one.zone, 'imageId': one.image,
                'instanceId': one.id, 'instanceType': one.type, 'pendingTime': stamp(one.launched), 'privateIp': one.address,
                'region': stage.region, 'version': '2017-09-30'}),
        }
        found['meta-data/hostname'] = found['meta-data/local-hostname']
        if one.user_data:
            found['user-data'] = one.user_data
        if one.metadata['InstanceMetadataTags'] == 'enabled':
            found.update({'meta-data/tags/instance/' + name: value for name, value in one.tags.items()})
        if one.id in self.notices:
            at = stamp(self.notices[one.id])
            found['meta-data/spot/instance-action'] = json.dumps({'action': 'terminate', 'time': at})
            found['meta-data/spot/termination-time'] = at
        if one.id in self.advice:
            found['meta-data/events/recommendations/rebalance'] = json.dumps({'noticeTime': stamp(self.advice[one.id])})
        return found


class Handler(BaseHTTPRequestHandler):
    server_version = 'EC2ws'

    def log_message(self, *_):
        pass

    def _say(self, status, body=b'', **headers):
        body = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        self.send_header('Content-Type', 'text/plain')
        self.send_header('Content-Length', str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace('_', '-'), value)
        self.end_headers()
        self.wfile.write(body)

    def _is_on(self):
        if self.instance.metadata['HttpEndpoint'] == 'enabled':
            return True
        self._say(403)
        return False

    def do_PUT(self):
        if not self._is_on():
            return
        # A request that somebody forwards is not the instance's own.
        if self.headers.get('X-Forwarded-For'):
            return self._say(403)
        if self.path != '/latest/api/token':
            return self._say(404)
        life = self.headers.get('X-aws-ec2-metadata-token-ttl-seconds', '')
        if not life.isdigit() or not 1 <= int(life) <= 21600:
            return self._say(400)
        token = secrets.token_urlsafe(40)
        self.tokens[token] = time.monotonic() + int(life)
        self._say(200, token, X_aws_ec2_metadata_token_ttl_seconds=life)

    def do_GET(self):
        if not self._is_on():
            return
        token = self.headers.get('X-aws-ec2-metadata-token')
        needs = self.instance.metadata['HttpTokens'] == 'required'
        if (token or needs) and self.tokens.get(token, 0) <= time.monotonic():
            return self._say(401)
        path = self.path.partition('?')[0].strip('/')
        path = path.removeprefix('latest').strip('/')
        with self.metadata.stage.lock:
            tree = self.metadata.tree(self.instance)
        if path in tree:
            return self._say(200, tree[path])
        inside = {name[len(path):].lstrip('/') for name in tree if not path or name.startswith(path + '/')}
        if not inside:
            return self._say(404)
        shown = sorted({name.partition('/')[0] + ('/' if '/' in name else '') for name in inside})
        self._say(200, '\n'.join(shown))
