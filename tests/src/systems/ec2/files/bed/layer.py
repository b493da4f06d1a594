"""The application of WSGI: every call of every service, and the control of the stand-in below /_bed/."""
import io
import socket
import threading
import time
from wsgiref.handlers import format_date_time

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from . import fleet, instances, lists, sizes
from .control import Control
from .wire import Call, Refused

STATUS = {200: 'OK', 400: 'Bad Request', 401: 'Unauthorized', 403: 'Forbidden', 404: 'Not Found', 412: 'Precondition Failed',
          500: 'Internal Server Error', 503: 'Service Unavailable'}


class Layer:
    def __init__(self, stage):
        self.stage = stage
        self.control = Control(stage)
        self.moto = DomainDispatcherApplication(create_backend_app)
        self.actions = {
            'ec2:RunInstances': instances.run_instances, 'ec2:TerminateInstances': instances.terminate_instances,
            'ec2:StopInstances': instances.stop_instances, 'ec2:StartInstances': instances.start_instances,
            'ec2:GetConsoleOutput': instances.get_console_output, 'ec2:DescribeInstanceAttribute': instances.describe_instance_attribute,
            'ec2:DescribeInstances': lists.describe_instances, 'ec2:DescribeInstanceStatus': lists.describe_instance_status,
            'ec2:DescribeVolumes': lists.describe_volumes, 'ec2:CreateFleet': fleet.create_fleet,
            'ec2:DescribeFleets': fleet.describe_fleets,
            'ec2:DescribeInstanceTypes': sizes.describe_instance_types, 'ec2:DescribeSubnets': sizes.describe_subnets,
            'ec2:DescribeInstanceTypeOfferings': sizes.describe_instance_type_offerings,
            'ec2:DescribeSpotPriceHistory': sizes.describe_spot_price_history,
            'ec2:CreateLaunchTemplate': stage.templates.create_launch_template,
            'ec2:CreateLaunchTemplateVersion': stage.templates.create_launch_template_version,
            'ec2:ModifyLaunchTemplate': stage.templates.modify_launch_template,
            'ec2:DeleteLaunchTemplate': stage.templates.delete_launch_template,
            'ec2:DeleteLaunchTemplateVersions': stage.templates.delete_launch_template_versions,
            'ec2:DescribeLaunchTemplates': stage.templates.describe_launch_templates,
            'ec2:DescribeLaunchTemplateVersions': stage.templates.describe_launch_template_versions,
            'servicequotas:GetServiceQuota': stage.quotas.get_service_quota,
            'servicequotas:ListServiceQuotas': stage.quotas.list_service_quotas,
            'sts:AssumeRole': stage.identity.assume_role,
            'sts:AssumeRoleWithWebIdentity': stage.identity.assume_role_with_web_identity,
            'sts:GetCallerIdentity': stage.identity.get_caller_identity,
        }

    def __call__(self, environ, start_response):
        if environ['PATH_INFO'].startswith('/_bed/'):
            status, headers, body = self.control(environ)
            return self._respond(start_response, status, headers, body)
        call = Call(environ)
        loss = self.stage.faults.fate(call)
        kind = loss and loss['kind']
        if kind == 'answer':
            answer = call.refusal(Refused(loss['code'], loss['message'], loss['status']))
            return self._respond(start_response, *answer)
        if kind == 'hang':
            self.stage.faults.hold(call)
            return self._cut(environ)
        if kind == 'late':
            threading.Thread(target=self._later, args=(call, loss['seconds']), daemon=True).start()
            return self._cut(environ)
        if kind == 'request':
            return self._cut(environ)
        answer = self._carry_out(call)
        if kind == 'reply':
            return self._cut(environ)
        return self._respond(start_response, *answer)

    def _later(self, call, seconds):
        time.sleep(seconds)
        # It is the order of somebody who signed it in time.
        self._carry_out(call, in_time=False)
        with self.stage.faults.lock:
            self.stage.faults.late += 1

    def _cut(self, environ):
        """Ends the connection without an answer."""
        connection = environ['werkzeug.socket']
        try:
            connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        raise ConnectionAbortedError('the answer is lost, as control has said')

    def _carry_out(self, call, in_time=True):
        """Status, headers and bytes."""
        try:
            clock = self.stage.faults.clock if in_time else None
            key = self.stage.identity.check(call, clock)
            self.stage.faults.may(call, key)
            self.stage.faults.refuse(call.action, {})
            own = self.actions.get(call.name)
            if own is None and call.name not in ('ec2:CreateTags', 'ec2:DeleteTags'):
                return self._ask_moto(call)
            params = call.params()
            if str(params.get('DryRun', 'false')).lower() == 'true':
                self._dry(call, params)
            with self.stage.lock:
                if own is not None:
                    return call.answer(own(self.stage, params, key))
                answers = []
                params['deletes'] = call.action == 'DeleteTags'
                done = instances.change_tags(self.stage, params, key, lambda: answers.append(self._ask_moto(call)) or {})
                return answers[0] if answers else call.answer(done)
        except Refused as refused:
            return call.refusal(refused)

    def _dry(self, call, params):
        """With `DryRun` EC2 says whether the caller may, and looks at the request as far as it goes without carrying it out."""
        if call.name == 'ec2:RunInstances':
            instances.wish(self.stage, params)
        raise Refused('DryRunOperation', 'Request would have succeeded, but DryRun flag is set.', 412)

    def _ask_moto(self, call):
        environ = dict(call.environ)
        environ['wsgi.input'] = io.BytesIO(call.body)
        environ.pop('HTTP_X_AMZ_SECURITY_TOKEN', None)
        said = []
        body = b''.join(self.moto(environ, lambda status, headers, error=None: said.extend([status, headers])))
        return int(said[0].split()[0]), dict(said[1]), body

    def _respond(self, start_response, status, headers, body):
        headers = {name: str(value) for name, value in headers.items() if name.lower() not in ('content-length', 'date', 'connection')}
        headers['Content-Length'] = str(len(body))
        # In small letters: `Date` is what Python's server would say, and is left out (`__main__.py`).
        headers['date'] = format_date_time(time.time() + self.stage.faults.clock)
        start_response('%d %s' % (status, STATUS.get(status, 'Status')), list(headers.items()))
        return [body]
