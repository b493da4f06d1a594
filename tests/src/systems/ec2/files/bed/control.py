"""The hands behind the cloud: POST /_bed/NAME with a JSON object, and an answer in JSON. `tests/src/systems/ec2/control.rs` speaks it."""
import base64
import gzip
import json

from . import instances
from .lists import tags_of
from .quotas import quota_class
from .wire import Refused


class Control:
    def __init__(self, stage):
        self.stage = stage

    def __call__(self, environ):
        name = environ['PATH_INFO'][len('/_bed/'):].replace('-', '_')
        body = environ['wsgi.input'].read(int(environ.get('CONTENT_LENGTH') or 0))
        action = getattr(self, 'do_' + name, None)
        if action is None:
            return 404, {'Content-Type': 'text/plain'}, b'there is no such control: ' + name.encode()
        try:
            with self.stage.lock:
                said = action(**json.loads(body or b'{}'))
        except (KeyError, TypeError, ValueError, Refused) as error:
            return 400, {'Content-Type': 'text/plain'}, ('%s: %r' % (name, error)).encode()
        return 200, {'Content-Type': 'application/json'}, json.dumps(said).encode()

    def _one(self, id):
        return self.stage.book.instances[id]

    # What is asked.

    def do_facts(self):
        return self.stage.facts()

    def do_container_credentials(self):
        """What the agent of a cluster gives a pod that has a role ("Container credential provider")."""
        keys, _ = self.stage.identity.session(self.stage.identity.role_arn, 'pod', 3600)
        return {'RoleArn': self.stage.identity.role_arn, 'AccessKeyId': keys['AccessKeyId'], 'SecretAccessKey': keys['SecretAccessKey'],
                'Token': keys['SessionToken'], 'Expiration': keys['Expiration'].strftime('%Y-%m-%dT%H:%M:%SZ')}

    def do_instances(self):
        return [{
            'id': one.id, 'type': one.type, 'zone': one.zone, 'state': one.state, 'spot': one.purchase == 'spot', 'tags': one.tags,
            'client_token': one.client_token, 'reason': one.reason, 'image': one.image, 'subnet': one.subnet,
            'quota_class': quota_class(one.type, one.purchase), 'volume_tags': one.volume_tags, 'interface_tags': one.interface_tags,
            'encrypted': one.root['encrypted'], 'volume_ends': one.root['ends'], 'on_shutdown': one.on_shutdown,
            'http_tokens': one.metadata['HttpTokens'], 'hop_limit': one.metadata['HttpPutResponseHopLimit'],
            'metadata_port': self.stage.metadata.port(one.id), 'key_name': one.key_name, 'user_data_bytes': len(one.user_data),
        } for one in self.stage.book.instances.values()]

    def do_history(self):
        return self.stage.book.history

    def do_lives(self):
        """Each instance that is not forgotten, from its launch to where it costs nothing any more, with its user-data as a guest reads them."""
        ended = {}
        for turn in self.stage.book.history:
            if turn['what'] == 'shutting-down':
                ended.setdefault(turn['id'], turn['at'])
        return [{
            'id': one.id, 'type': one.type, 'cores': self.stage.capacity.cores(one.type), 'spot': one.purchase == 'spot', 'tags': one.tags,
            'quota_class': quota_class(one.type, one.purchase), 'began': one.launched, 'ended': ended.get(one.id), 'reason': one.reason,
            'user_data': (gzip.decompress(one.user_data) if one.user_data[:2] == b'\x1f\x8b' else one.user_data).decode(errors='replace'),
            'user_data_bytes': len(one.user_data),
        } for one in self.stage.book.instances.values()]

    def do_calls(self):
        return dict(self.stage.faults.calls)

    def do_rights(self):
        return dict(self.stage.faults.used)

    def do_templates(self):
        return [{'id': t['id'], 'name': t['name'], 'tags': t['tags'], 'versions': sum(1 for version in t['versions'] if version)}
                for t in self.stage.templates.known.values()]

    def do_add_template(self, name, data):
        return self.stage.templates.add(name, data)

    def do_console(self, id):
        return self.stage.guests.console_of(id)

    def do_late_done(self):
        return self.stage.faults.late

    def do_losses_left(self):
        return len(self.stage.faults.losses)

    # What becomes of calls.

    def do_lose(self, losses):
        self.stage.faults.losses.extend(losses)

    def do_always(self, loss):
        self.stage.faults.set_always(loss)

    def do_refuse(self, code, message, filter, status=None):
        self.stage.faults.rules.append({'code': code, 'message': message, 'filter': filter, 'status': status})

    def do_relent(self):
        self.stage.faults.rules.clear()
        self.stage.faults.denied.clear()
        self.stage.faults.buckets.clear()

    def do_deny(self, action):
        self.stage.faults.denied.add(action if ':' in action else 'ec2:' + action)

    def do_rate(self, action, burst, per_second):
        from .faults import Bucket
        self.stage.faults.buckets[action if ':' in action else 'ec2:' + action] = Bucket(burst, per_second)

    def do_clock(self, seconds):
        self.stage.faults.clock = seconds

    def do_expire_token(self):
        self.stage.identity.expire()

    def do_fleets(self, on):
        self.stage.faults.fleets = on

    def do_masked(self, on):
        self.stage.masked = on

    # What lists say, and when.

    def do_hide(self, ids):
        self.stage.book.hidden.update(ids)

    def do_show(self):
        self.stage.book.hidden.clear()

    def do_partial(self, on):
        self.stage.book.partial = on

    def do_times(self, **seconds):
        """`boot`, `end`, `forget`, `late`: see `Book`."""
        for name, value in seconds.items():
            if name not in ('boot', 'end', 'forget', 'late'):
                raise ValueError(name)
            setattr(self.stage.book, name, value)

    # What there is to be had.

    def do_capacity(self, type, zone, purchase, left):
        self.stage.capacity.set(type, zone, purchase, left)

    def do_price(self, type, zone, dollars):
        if dollars is None:
            self.stage.capacity.prices.pop((type, zone), None)
        else:
            self.stage.capacity.prices[type, zone] = dollars

    def do_vcpus(self, code, value):
        self.stage.quotas.set(code, value)

    def do_free_addresses(self, subnet, count):
        used = sum(1 for one in self.stage.book.instances.values() if one.subnet == subnet and one.state != 'terminated')
        self.stage.free_addresses[subnet] = count + used

    def do_image(self, name, architecture, created, size):
        return self.stage.add_image(name, architecture, created, size)

    # What happens to instances.

    def do_run(self, tags, client_token, purchase, user_data):
        """An instance that somebody else makes, or a twin: with these tags, in the first subnet."""
        params = {'ImageId': self.stage.images['default'], 'InstanceType': 'm5.large', 'SubnetId': self.stage.subnets[0][0], 'MinCount': 1,
                  'MaxCount': 1, 'ClientToken': client_token, 'InstanceInitiatedShutdownBehavior': 'terminate',
                  'UserData': base64.b64encode(user_data.encode()).decode(),
                  'TagSpecifications': [{'ResourceType': 'instance', 'Tags': tags_of(tags)}]}
        if purchase == 'spot':
            params['InstanceMarketOptions'] = {'MarketType': 'spot'}
        return instances.run_instances(self.stage, params, None)['Instances'][0]['InstanceId']

    def do_reclaim(self, id, notice):
        self.stage.reclaims.take(self._one(id), notice)

    def do_reclaim_at_random(self, seed, rates, notice):
        self.stage.reclaims.at_random(seed, rates, notice)

    def do_reclaims_to_come(self):
        return self.stage.reclaims.to_come()

    def do_rebalance(self, id):
        one = self._one(id)
        self.stage.metadata.rebalance(id)
        self.stage.send(one.zone, 'EC2 Instance Rebalance Recommendation', {'instance-id': id})

    def do_storm(self, part, notice):
        return self.stage.reclaims.storm(part, notice)

    def do_power_off(self, id):
        one = self._one(id)
        self.stage.guests.halted(one)

    def do_terminate(self, id):
        self.stage.book.ends(self._one(id), 'Client.UserInitiatedShutdown')

    def do_fail(self, id, code):
        self.stage.book.ends(self._one(id), code)
