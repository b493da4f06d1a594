# Makes DIRAC's user, its databases with all grants, and the tables of those that have none. Run again, it changes nothing.
# arguments: the databases; /sql/NAME.sql has the tables of each, and is empty where DIRAC makes them itself.
# A small database of our own says how far it came: tables that were begun and not finished are made anew, and what somebody else
# made is never touched.
umask 077
quoted() { printf '%s' "$1" | sed -e 's/\\/\\\\/g' -e 's/"/\\"/g'; }
cat > /tmp/admin.cnf <<EOF
[client]
host=$DB_HOST
port=$DB_PORT
user="$(quoted "$DB_ADMIN")"
password="$(quoted "$DB_ADMIN_PASSWORD")"
EOF
sql() { mariadb --defaults-file=/tmp/admin.cnf --batch --skip-column-names "$@"; }
one() { sql --execute "$1"; }

# All that DIRAC's installer grants, and what its OptimizationMind needs: without the last one every job stays Received.
grants='select, insert, lock tables, update, delete, create, drop, alter, references, create view, show view, index, trigger, alter routine, create routine, create temporary tables'

# One server has one installation. What somebody else made is not taken over: its DIRAC would lose its password, and two would work on one
# set of jobs.
known=$(one "select count(*) from information_schema.tables where table_schema = 'DiracOperator' and table_name = 'Installation'")
if [ "$known" = 0 ]; then
  users=$(one "select count(*) from mysql.user where User = '$DB_USER'")
  names=$(printf "'%s'," "$@")
  tables=$(one "select count(*) from information_schema.tables where table_schema in (${names%,})")
  if [ "$users" != 0 ] || [ "$tables" != 0 ]; then
    echo "the server $DB_HOST has a user $DB_USER or tables of a DIRAC that this installation did not make: give it a server without" >&2
    exit 1
  fi
  one "create database if not exists DiracOperator"
  one "create table if not exists DiracOperator.Installation (Id varchar(64) primary key)"
fi
one "insert into DiracOperator.Installation select '$INSTALLATION' from dual where not exists (select * from DiracOperator.Installation)"
if [ "$(one "select Id from DiracOperator.Installation")" != "$INSTALLATION" ]; then
  echo "the server $DB_HOST belongs to another installation: give this one a server of its own" >&2
  exit 1
fi

sql <<EOF
create user if not exists '$DB_USER'@'%' identified by '$DB_PASSWORD';
alter user '$DB_USER'@'%' identified by '$DB_PASSWORD';
create table if not exists DiracOperator.Schemas (Name varchar(64) primary key, State varchar(16) not null);
EOF
for name in "$@"; do
  state=$(one "select State from DiracOperator.Schemas where Name = '$name'")
  if [ "$state" = begun ]; then
    echo "$name: begun before and not finished, made anew"
    one "drop database if exists $name"
  fi
  one "create database if not exists $name"
  one "grant $grants on $name.* to '$DB_USER'@'%'"
  if [ "$state" = done ]; then continue; fi
  tables=$(one "select count(*) from information_schema.tables where table_schema = '$name'")
  if [ "$tables" = 0 ] && [ -s "/sql/$name.sql" ]; then
    one "replace into DiracOperator.Schemas values ('$name', 'begun')"
    sql "$name" < "/sql/$name.sql"
    echo "$name: tables made"
  else
    echo "$name: $tables tables found"
  fi
  one "replace into DiracOperator.Schemas values ('$name', 'done')"
done
