"""ClientToken, as in "Ensuring idempotency in Amazon EC2 API requests"."""
import json

from .wire import Refused


class Tokens:
    """What each token of an action was given for, and what came of it. A request that was refused leaves its token free."""

    def __init__(self):
        self.given = {}

    def once(self, action, params, carry_out):
        """The result of `carry_out`, or of the earlier request with this token."""
        token = params.get('ClientToken')
        if not token:
            return carry_out()
        if len(token) > 64 or not token.isascii():
            raise Refused('InvalidParameterValue', 'Invalid value for clientToken. A client token has up to 64 ASCII characters.')
        asked = json.dumps({name: value for name, value in params.items() if name != 'DryRun'}, sort_keys=True, default=str)
        known = self.given.get((action, token))
        if known is None:
            known = self.given[action, token] = (asked, carry_out())
        if known[0] != asked:
            raise Refused('IdempotentParameterMismatch', 'Arguments on this idempotent request are inconsistent with arguments used in '
                          'previous request(s).')
        return known[1]
