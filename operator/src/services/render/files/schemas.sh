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

sql <<EOF
create user if not exists '$DB_USER'@'%' identified by '$DB_PASSWORD';
alter user '$DB_USER'@'%' identified by '$DB_PASSWORD';
create database if not exists DiracOperator;
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
