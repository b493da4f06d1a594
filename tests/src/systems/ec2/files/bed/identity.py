"""Keys, roles and sessions: who may sign, and STS, which makes sessions."""
import base64
import hashlib
import hmac
import json
import secrets
import string
import time
from datetime import datetime, timezone

from . import signature
from .wire import Refused

AUDIENCE = 'sts.amazonaws.com'


class Identity:
    def __init__(self, account, issuer):
        self.account, self.issuer = account, issuer
        self.role_arn = 'arn:aws:iam::%s:role/dirac-operator' % account
        self.user = (_key('AKIA'), secrets.token_urlsafe(30)[:40])
        self.keys = {self.user[0]: {
            'secret': self.user[1], 'token': None, 'arn': 'arn:aws:iam::%s:user/dirac' % account, 'id': _key('AIDA')}}
        self._secret = secrets.token_bytes(32)

    def web_token(self, subject, life=86400):
        """A token of an OIDC provider that this account trusts. Its signature is by a secret of ours, not by a key that is published."""
        now = int(time.time())
        claims = {'iss': self.issuer, 'aud': [AUDIENCE], 'sub': subject, 'iat': now, 'exp': now + life}
        head = _b64(json.dumps({'alg': 'HS256', 'typ': 'JWT'}).encode()) + '.' + _b64(json.dumps(claims).encode())
        return head + '.' + self._sign(head)

    def _sign(self, head):
        return _b64(hmac.new(self._secret, head.encode(), hashlib.sha256).digest())

    def check(self, call, clock):
        """The key of a call, see `signature.check`."""
        return signature.check(call, self.keys, clock)

    def expire(self):
        """Ends all sessions now."""
        for key in self.keys.values():
            if key['token']:
                key['ends'] = 0

    def session(self, role, name, seconds):
        """A session of a role: what STS calls Credentials, and the user that it is."""
        key = _key('ASIA')
        ends = int(time.time()) + seconds
        arn = 'arn:aws:sts::%s:assumed-role/%s/%s' % (self.account, role.rpartition('/')[2], name)
        who = _key('AROA') + ':' + name
        self.keys[key] = {'secret': secrets.token_urlsafe(30)[:40], 'token': secrets.token_urlsafe(180), 'arn': arn, 'id': who,
                          'ends': ends}
        credentials = {'AccessKeyId': key, 'SecretAccessKey': self.keys[key]['secret'], 'SessionToken': self.keys[key]['token'],
                       'Expiration': datetime.fromtimestamp(ends, timezone.utc)}
        return credentials, {'AssumedRoleId': who, 'Arn': arn}

    def _role(self, params, caller):
        if params.get('RoleArn') != self.role_arn:
            raise Refused('AccessDenied', 'User: %s is not authorized to perform: sts:AssumeRole on resource: %s'
                          % (caller, params.get('RoleArn')), 403)
        seconds = int(params.get('DurationSeconds', 3600))
        if not 900 <= seconds <= 43200:
            raise Refused('ValidationError', "1 validation error detected: Value '%d' at 'durationSeconds' failed to satisfy constraint: "
                          'Member must have value between 900 and 43200' % seconds)
        return self.session(self.role_arn, params.get('RoleSessionName', 'session'), seconds)

    def assume_role(self, _stage, params, key):
        credentials, user = self._role(params, key['arn'])
        return {'Credentials': credentials, 'AssumedRoleUser': user}

    def assume_role_with_web_identity(self, _stage, params, _key):
        head, _, signature = params.get('WebIdentityToken', '').rpartition('.')
        try:
            claims = json.loads(base64.urlsafe_b64decode(head.partition('.')[2] + '=='))
        except ValueError:
            claims = None
        if not claims or not hmac.compare_digest(self._sign(head), signature):
            raise Refused('InvalidIdentityToken', 'The ID Token provided is not a valid JWT. '
                          '(You may see this error if you sent an Access Token)')
        if claims['exp'] < time.time():
            raise Refused('ExpiredTokenException', 'Token expired: current date/time %d must be before the expiration date/time %d'
                          % (time.time(), claims['exp']))
        if AUDIENCE not in claims['aud']:
            raise Refused('InvalidIdentityToken', 'Incorrect token audience')
        if params.get('RoleArn') != self.role_arn:
            raise Refused('AccessDenied', 'Not authorized to perform sts:AssumeRoleWithWebIdentity', 403)
        credentials, user = self._role(params, claims['sub'])
        return {'Credentials': credentials, 'AssumedRoleUser': user, 'SubjectFromWebIdentityToken': claims['sub'],
                'Provider': claims['iss'], 'Audience': AUDIENCE}

    def get_caller_identity(self, _stage, _params, key):
        return {'UserId': key['id'], 'Account': self.account, 'Arn': key['arn']}


def _key(kind):
    return kind + ''.join(secrets.choice(string.ascii_uppercase + '234567') for _ in range(16))


def _b64(data):
    return base64.urlsafe_b64encode(data).decode().rstrip('=')
