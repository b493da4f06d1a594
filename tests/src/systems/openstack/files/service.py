"""service.py MODULE:FUNCTION arguments...: the console script of a service, with our hypervisor on Nova's path."""
import importlib
import os
import sys

module, function = sys.argv.pop(1).split(':')
sys.argv[0] = module
loaded = importlib.import_module(module)
if module.startswith('nova.'):
    import nova.virt
    nova.virt.__path__.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), 'nova_virt'))
sys.exit(getattr(loaded, function)())
