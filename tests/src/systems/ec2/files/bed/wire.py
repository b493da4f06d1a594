"""Calls and answers as bytes: read and written by AWS's own model of each service, which botocore has."""
import json
import uuid
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import determine_request_protocol
from moto.core.serialize import get_serializer_class
from moto.core.utils import get_service_model
from werkzeug.datastructures import MultiDict

# How botocore calls the services whose signatures are made for another name.
MODELS = {'servicequotas': 'service-quotas'}


class Refused(Exception):
    """An error of AWS's: its code, its words and the status of HTTP."""

    def __init__(self, code, message, status=400):
        super().__init__(code, message)
        self.code, self.message, self.status = code, message, status


class Call:
    """One request. `service` is as signatures name it, and as IAM names its actions."""

    def __init__(self, environ):
        self.environ = environ
        self.body = environ['wsgi.input'].read(int(environ.get('CONTENT_LENGTH') or 0))
        self.content_type = environ.get('CONTENT_TYPE', '').split(';')[0]
        self.authorization = environ.get('HTTP_AUTHORIZATION', '')
        form = self.body.decode('utf-8', 'replace') if self.content_type == 'application/x-www-form-urlencoded' else ''
        self.values = MultiDict(parse_qsl(form, keep_blank_values=True) or
                                parse_qsl(environ.get('QUERY_STRING', ''), keep_blank_values=True))
        target = environ.get('HTTP_X_AMZ_TARGET', '')
        self.action = self.values.get('Action') or target.rpartition('.')[2]
        self.service = self._service(target)
        self.id = str(uuid.uuid4())

    def _service(self, target):
        scope = self.authorization.partition('Credential=')[2].partition(',')[0].split('/')
        if len(scope) == 5:
            return scope[3]
        named = {'AmazonSQS': 'sqs', 'AmazonSSM': 'ssm', 'ServiceQuotasV20190624': 'servicequotas'}
        if target:
            return named.get(target.partition('.')[0], '')
        return {'2011-06-15': 'sts', '2016-11-15': 'ec2', '2012-11-05': 'sqs'}.get(self.values.get('Version'), '')

    @property
    def name(self):
        return '%s:%s' % (self.service, self.action)

    def _model(self):
        return get_service_model(MODELS.get(self.service, self.service))

    def params(self):
        """What the call asks, by the names of AWS's documents."""
        model = self._model()
        protocol = determine_request_protocol(model, self.content_type)
        parser = PROTOCOL_PARSERS[protocol](model.operation_model(self.action))
        headers = {name[5:].replace('_', '-').lower(): value for name, value in self.environ.items() if name.startswith('HTTP_')}
        return parser.parse({'method': self.environ['REQUEST_METHOD'], 'values': self.values, 'headers': headers, 'body': self.body,
                             'url_path': self.environ['PATH_INFO'], 'url_params': {}})

    def answer(self, result):
        """Status, headers and bytes of a result, given by the names of AWS's documents."""
        model = self._model()
        protocol = determine_request_protocol(model, self.content_type)
        serializer = get_serializer_class(model.service_name, protocol)(model.operation_model(self.action))
        done = serializer.serialize(result)
        body = done['body']
        return done['status_code'], dict(done['headers']), body if isinstance(body, bytes) else body.encode()

    def refusal(self, refused):
        """The same of an error, in the manner of the call's service."""
        code, message = escape(refused.code), escape(refused.message)
        if self.content_type.startswith('application/x-amz-json'):
            body = json.dumps({'__type': refused.code, 'message': refused.message})
            return refused.status, {'Content-Type': self.content_type, 'x-amzn-RequestId': self.id}, body.encode()
        if self.service == 'sts':
            body = ('<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>%s</Code><Message>%s'
                    '</Message></Error><RequestId>%s</RequestId></ErrorResponse>' % (code, message, self.id))
        else:
            body = ('<?xml version="1.0" encoding="UTF-8"?>\n<Response><Errors><Error><Code>%s</Code><Message>%s</Message></Error></Errors>'
                    '<RequestID>%s</RequestID></Response>' % (code, message, self.id))
        return refused.status, {'Content-Type': 'text/xml;charset=UTF-8'}, body.encode()
