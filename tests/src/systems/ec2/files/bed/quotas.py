"""Service Quotas of EC2 in vCPUs: a limit for each class of families and way of paying, and what is refused beyond it."""
import re

from .wire import Refused

# Code, name, whether it is for Spot, the beginnings of families, and the value at the start. "Amazon EC2 instance type quotas".
_STANDARD = 'a|c|d|h|i|im|is|m|r|t|z'
CLASSES = [
    ('L-1216C47A', 'Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances', 'on-demand', _STANDARD, 640),
    ('L-DB2E81BA', 'Running On-Demand G and VT instances', 'on-demand', 'g|gr|vt', 128),
    ('L-417A185B', 'Running On-Demand P instances', 'on-demand', 'p', 0),
    ('L-74FC7D96', 'Running On-Demand F instances', 'on-demand', 'f', 0),
    ('L-7295265B', 'Running On-Demand X instances', 'on-demand', 'x', 0),
    ('L-1945791B', 'Running On-Demand Inf instances', 'on-demand', 'inf', 0),
    ('L-2C3B7624', 'Running On-Demand Trn instances', 'on-demand', 'trn', 0),
    ('L-43DA4232', 'Running On-Demand High Memory instances', 'on-demand', 'u|u-|u7i|u7in', 0),
    ('L-F7808C92', 'Running On-Demand HPC instances', 'on-demand', 'hpc', 0),
    ('L-34B43A08', 'All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance Requests', 'spot', _STANDARD, 640),
    ('L-3819A6DF', 'All G and VT Spot Instance Requests', 'spot', 'g|gr|vt', 128),
    ('L-7212CCBC', 'All P Spot Instance Requests', 'spot', 'p', 0),
    ('L-88CF9481', 'All F Spot Instance Requests', 'spot', 'f', 0),
    ('L-E3A00192', 'All X Spot Instance Requests', 'spot', 'x', 0),
    ('L-B5D1601B', 'All Inf Spot Instance Requests', 'spot', 'inf', 0),
    ('L-6B0D517C', 'All Trn Spot Instance Requests', 'spot', 'trn', 0),
]


def quota_class(kind, purchase):
    """The code of the quota that a type counts against, or None."""
    letters = re.match(r'[a-z]+', kind).group()
    for code, _, paid, families, _ in CLASSES:
        if paid == purchase and letters in families.split('|'):
            return code
    return None


class Quotas:
    def __init__(self):
        self.values = {code: value for code, _, _, _, value in CLASSES}

    def set(self, code, value):
        """The applied value; None: as at the start."""
        self.values[code] = value if value is not None else next(start for known, _, _, _, start in CLASSES if known == code)

    def check(self, stage, kind, purchase, count):
        """Refuses instances for which the account has no vCPUs left."""
        code = quota_class(kind, purchase)
        if code is None:
            return
        used = sum(stage.capacity.cores(one.type) for one in stage.book.instances.values()
                   if one.state in ('pending', 'running') and quota_class(one.type, one.purchase) == code)
        limit = self.values[code]
        if used + count * stage.capacity.cores(kind) <= limit:
            return
        if purchase == 'spot':
            raise Refused('MaxSpotInstanceCountExceeded', 'Max spot instance count exceeded')
        raise Refused('VcpuLimitExceeded', 'You have requested more vCPU capacity than your current vCPU limit of %d allows for the '
                      'instance bucket that the specified instance type belongs to. Please visit '
                      'http://aws.amazon.com/contact-us/ec2-request to request an adjustment to this limit.' % limit)

    def _quota(self, stage, entry):
        code, name, purchase, _, _ = entry
        return {
            'ServiceCode': 'ec2', 'ServiceName': 'Amazon Elastic Compute Cloud (Amazon EC2)', 'QuotaCode': code, 'QuotaName': name,
            'QuotaArn': 'arn:aws:servicequotas:%s:%s:ec2/%s' % (stage.region, stage.account, code), 'Value': float(self.values[code]),
            'Unit': 'None', 'Adjustable': True, 'GlobalQuota': False, 'QuotaAppliedAtLevel': 'ACCOUNT',
            'UsageMetric': {'MetricNamespace': 'AWS/Usage', 'MetricName': 'ResourceCount', 'MetricStatisticRecommendation': 'Maximum',
                            'MetricDimensions': {'Class': name.split(' ')[-2] + '/' + purchase, 'Resource': 'vCPU', 'Service': 'EC2',
                                                 'Type': 'Resource'}},
        }

    def get_service_quota(self, stage, params, _key):
        for entry in CLASSES:
            if params.get('ServiceCode') == 'ec2' and entry[0] == params.get('QuotaCode'):
                return {'Quota': self._quota(stage, entry)}
        raise Refused('NoSuchResourceException', 'The request failed because the specified service or quota does not exist.')

    def list_service_quotas(self, stage, params, _key):
        if params.get('ServiceCode') != 'ec2':
            raise Refused('NoSuchResourceException', 'The request failed because the specified service does not exist.')
        start, size = int(params.get('NextToken') or 0), int(params.get('MaxResults') or 100)
        found = {'Quotas': [self._quota(stage, entry) for entry in CLASSES[start:start + size]]}
        if start + size < len(CLASSES):
            found['NextToken'] = str(start + size)
        return found
