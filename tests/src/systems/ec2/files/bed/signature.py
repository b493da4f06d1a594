"""Who makes a call: signatures of version 4, with the keys and sessions that this account has.

From "Signature Version 4" and "Error codes for the Amazon EC2 API" of AWS's documents. EC2 says `AuthFailure` of a wrong key and of a wrong
secret alike. Of a clock that is late it says `RequestExpired`, as documented, and of one that is ahead `AuthFailure`, as its users report;
the other services say `SignatureDoesNotMatch`. A session that has ended is `RequestExpired` for EC2 and `ExpiredToken` for the others.
"""
import hashlib
import hmac
import time
from datetime import datetime, timezone

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from .wire import Refused

# A signature is good for this long, by the clock of AWS.
SKEW = 300
UNSIGNED = {'sts:AssumeRoleWithWebIdentity'}


def _not_valid(call):
    if call.service == 'ec2':
        return Refused('AuthFailure', 'AWS was not able to validate the provided access credentials', 401)
    code = 'InvalidClientTokenId' if call.service == 'sts' else 'UnrecognizedClientException'
    return Refused(code, 'The security token included in the request is invalid.', 403)


def _wrong(call, words=None):
    if call.service == 'ec2' and words is None:
        return _not_valid(call)
    code = 'InvalidSignatureException' if call.content_type.startswith('application/x-amz-json') else 'SignatureDoesNotMatch'
    words = words or ('The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and '
                      'signing method. Consult the service documentation for details.')
    return Refused(code, words, 403)


def _ended(call):
    if call.service == 'ec2':
        return Refused('RequestExpired', 'Request has expired.', 400)
    code = 'ExpiredToken' if call.service == 'sts' else 'ExpiredTokenException'
    return Refused(code, 'The security token included in the request is expired', 403)


def check(call, keys, clock):
    """The key with which the call is signed; `keys` has those of the account by their id. Refuses what AWS would. `clock` is how far AWS's
    is ahead of this machine's, in seconds; None: whenever it was signed."""
    if call.name in UNSIGNED and not call.authorization:
        return None
    if not call.authorization.startswith('AWS4-HMAC-SHA256 '):
        raise Refused('MissingAuthenticationToken', 'Request is missing Authentication Token', 403)
    parts = dict(part.strip().partition('=')[::2] for part in call.authorization[len('AWS4-HMAC-SHA256 '):].split(','))
    scope = parts.get('Credential', '').split('/')
    if len(scope) != 5 or not parts.get('SignedHeaders') or not parts.get('Signature'):
        raise Refused('IncompleteSignature', 'Authorization header requires Credential, SignedHeaders and Signature', 400)
    key = keys.get(scope[0])
    if key is None or key.get('token') != call.environ.get('HTTP_X_AMZ_SECURITY_TOKEN'):
        raise _not_valid(call)
    stamp = call.environ.get('HTTP_X_AMZ_DATE', '')
    if clock is not None:
        _check_clock(call, stamp, clock)
    expected = _signature(call, key['secret'], scope, parts['SignedHeaders'], stamp)
    if not hmac.compare_digest(expected, parts['Signature']):
        raise _wrong(call)
    if key.get('ends', float('inf')) <= time.time():
        raise _ended(call)
    return key


def _check_clock(call, stamp, clock):
    try:
        signed = datetime.strptime(stamp, '%Y%m%dT%H%M%SZ').replace(tzinfo=timezone.utc).timestamp()
    except ValueError:
        raise Refused('IncompleteSignature', 'Date must be in ISO-8601 basic format. Got: %s' % stamp, 400) from None
    now = time.time() + clock
    if abs(now - signed) <= SKEW:
        return
    late = signed < now
    if call.service == 'ec2':
        raise _ended(call) if late else _not_valid(call)
    shown = [datetime.fromtimestamp(t, timezone.utc).strftime('%Y%m%dT%H%M%SZ') for t in (now, now - SKEW, now + SKEW)]
    if late:
        raise _wrong(call, 'Signature expired: %s is now earlier than %s (%s - 5 min.)' % (stamp, shown[1], shown[0]))
    raise _wrong(call, 'Signature not yet current: %s is still later than %s (%s + 5 min.)' % (stamp, shown[2], shown[0]))


def _signature(call, secret, scope, signed_headers, stamp):
    environ = call.environ
    path, _, query = (environ.get('REQUEST_URI') or environ['PATH_INFO']).partition('?')
    request = AWSRequest(method=environ['REQUEST_METHOD'], url='http://%s%s?%s' % (environ['HTTP_HOST'], path, query))
    request.context['timestamp'] = stamp
    auth = SigV4Auth(Credentials(scope[0], secret), scope[3], scope[2])
    digest = hashlib.sha256(call.body).hexdigest()
    said = environ.get('HTTP_X_AMZ_CONTENT_SHA256', digest)
    if said not in (digest, 'UNSIGNED-PAYLOAD'):
        raise _wrong(call)
    own = {'content-type': environ.get('CONTENT_TYPE', ''), 'content-length': environ.get('CONTENT_LENGTH', '')}
    lines = []
    for name in signed_headers.split(';'):
        value = own[name] if name in own else environ.get('HTTP_' + name.upper().replace('-', '_'), '')
        lines.append('%s:%s\n' % (name, ' '.join(value.split())))
    canonical = '\n'.join([environ['REQUEST_METHOD'], auth._normalize_url_path(path or '/'), auth.canonical_query_string(request),
                           ''.join(lines), signed_headers, said])
    text = '\n'.join(['AWS4-HMAC-SHA256', stamp, '/'.join(scope[1:]), hashlib.sha256(canonical.encode()).hexdigest()])
    return auth.signature(text, request)
