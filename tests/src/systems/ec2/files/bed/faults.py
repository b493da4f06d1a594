"""What becomes of calls beside what they ask: losses, refusals, missing rights, and buckets of requests as EC2 has for each action."""
import base64
import collections
import secrets
import threading
import time
import zlib

from .wire import Refused

# Calls that make instances.
LAUNCHES = ('ec2:CreateFleet', 'ec2:RunInstances')


class Faults:
    def __init__(self):
        self.lock = threading.Lock()
        self.losses = collections.deque()
        self.always = None
        self.lifted = threading.Condition(self.lock)
        self.denied, self.rules, self.buckets = set(), [], {}
        self.calls, self.used, self.late = collections.Counter(), collections.Counter(), 0
        self.clock = 0.0
        self.fleets = True

    def fate(self, call):
        """The loss that this call suffers, as control has named it, or None. It counts the call."""
        with self.lock:
            self.calls[call.name] += 1
            if call.name in LAUNCHES and self.losses and call.values.get('DryRun') != 'true':
                return self.losses.popleft()
            return self.always

    def hold(self, call):
        """Keeps a call that is never answered, until `always` is lifted."""
        with self.lock:
            while self.always and self.always['kind'] == 'hang':
                self.lifted.wait(0.5)

    def set_always(self, loss):
        with self.lock:
            self.always = loss
            self.lifted.notify_all()

    def may(self, call, key):
        """Refuses what the caller has no right to, and what comes too fast."""
        if call.name == 'ec2:CreateFleet' and not self.fleets:
            raise Refused('InvalidAction', 'The action CreateFleet is not valid for this web service.')
        for name in rights(call):
            with self.lock:
                self.used[name] += 1
            if name in self.denied:
                raise _unauthorized(call, name, key)
        with self.lock:
            bucket = self.buckets.get(call.name)
            if bucket and not bucket.take():
                if call.service == 'ec2':
                    raise Refused('RequestLimitExceeded', 'Request limit exceeded.', 503)
                raise Refused('ThrottlingException', 'Rate exceeded', 400)

    def refuse(self, name, about):
        """Refuses an action or a launch for which control has made a rule. `about` has what a launch is for."""
        with self.lock:
            rules = list(self.rules)
        for rule in rules:
            if all(about.get(field) == value for field, value in rule['filter'].items() if field != 'action') \
                    and rule['filter'].get('action', name) == name:
                raise Refused(rule['code'], rule['message'], rule.get('status') or status_of(rule['code']))


class Bucket:
    """As many requests as it holds at once, and then as many as trickle in ("Request throttling for the Amazon EC2 API")."""

    def __init__(self, burst, rate):
        self.burst, self.rate, self.level, self.at = burst, rate, burst, time.monotonic()

    def take(self):
        now = time.monotonic()
        self.level = min(self.burst, self.level + (now - self.at) * self.rate)
        self.at = now
        if self.level < 1:
            return False
        self.level -= 1
        return True


def status_of(code):
    """The status of HTTP with which EC2 says a code."""
    if code in ('InsufficientInstanceCapacity', 'InternalError'):
        return 500
    if code in ('RequestLimitExceeded', 'Unavailable', 'InsufficientAddressCapacity', 'InsufficientCapacity', 'InternalFailure'):
        return 503
    return 403 if code == 'UnauthorizedOperation' else 400


def rights(call):
    """The actions of IAM that a call needs: its own, and those that EC2 looks at beside it."""
    names = [call.name]
    values = call.values
    if call.name == 'ec2:CreateFleet':
        names.append('ec2:RunInstances')
    if call.name in LAUNCHES or call.name == 'ec2:CreateLaunchTemplate':
        if any(name.startswith('TagSpecification') for name in values) or call.name == 'ec2:CreateFleet':
            names.append('ec2:CreateTags')
        if any('IamInstanceProfile' in name for name in values):
            names.append('iam:PassRole')
    if any(value.startswith('resolve:ssm:') for value in values.values()):
        names.append('ssm:GetParameters')
    return names


def _unauthorized(call, name, key):
    who = (key or {}).get('arn', 'anonymous')
    if call.service == 'ec2':
        # AWS's is encrypted, for sts:DecodeAuthorizationMessage; what counts for a client is that it is long and says nothing.
        encoded = base64.urlsafe_b64encode(zlib.compress(secrets.token_bytes(360))).decode().rstrip('=')
        return Refused('UnauthorizedOperation', 'You are not authorized to perform this operation. User: %s is not authorized to perform: '
                       '%s because no identity-based policy allows the %s action. Encoded authorization failure message: %s'
                       % (who, name, name, encoded), 403)
    code = 'AccessDenied' if call.service == 'sts' else 'AccessDeniedException'
    return Refused(code, 'User: %s is not authorized to perform: %s because no identity-based policy allows the %s action'
                   % (who, name, name), 403 if call.service == 'sts' else 400)
