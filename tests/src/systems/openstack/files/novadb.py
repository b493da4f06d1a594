"""Makes Nova's databases and its cell."""
import sys
from nova import config, objects
from nova.cmd import manage
import nova.conf
config.parse_args(['nova-manage'] + ['--config-file=' + f for f in sys.argv[1:]])
objects.register_all()
C = nova.conf.CONF
manage.ApiDbCommands().sync()
v = manage.CellV2Commands()
v.map_cell0(C.database.connection.replace('/nova?', '/nova_cell0?'))
manage.DbCommands().sync()
print('create_cell', v.create_cell('cell1'))
