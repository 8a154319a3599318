# SPDX-License-Identifier: Apache-2.0
"""The columns of the table "kinds", one for each built-in type; those with an equality that can be searched by."""

NAMES = """bool int2 int4 int8 numeric float4 float8 money oid text varchar bpchar char name bytea date time timetz
timestamp timestamptz interval uuid json jsonb jsonpath xml inet cidr macaddr macaddr8 bit varbit point line lseg box
path polygon circle int4range int8range numrange tsrange tstzrange daterange int4multirange tsvector tsquery pg_lsn
int4_array text_array numeric_array timestamptz_array matrix enum domain composite""".split()

COLUMNS = ["k_" + name for name in NAMES]
SEARCHED = ["k_" + name for name in """bool int2 int4 int8 numeric text date time timestamp timestamptz uuid enum
bytea""".split()]
