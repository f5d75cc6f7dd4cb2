"""The work of the flow benchmark in DuckDB, reading the pages by HTTP itself: python duckdb_urls.py URL PAGES OUT THREADS. Prints the rows."""

import os
import sys

import duckdb
import duckdb_extension_httpfs

url, pages, out, threads = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]

MEMBER = """STRUCT(id VARCHAR, email_address VARCHAR, status VARCHAR,
 merge_fields STRUCT(FNAME VARCHAR, LNAME VARCHAR, ADDRESS STRUCT(addr1 VARCHAR, addr2 VARCHAR, city VARCHAR, state VARCHAR, zip VARCHAR, country VARCHAR),
 PHONE VARCHAR, BIRTHDAY VARCHAR), stats STRUCT(avg_open_rate DOUBLE, avg_click_rate DOUBLE), ip_opt VARCHAR, timestamp_opt VARCHAR, member_rating INTEGER,
 last_changed VARCHAR, vip BOOLEAN, location STRUCT(latitude DOUBLE, longitude DOUBLE, country_code VARCHAR), tags STRUCT(name VARCHAR)[], list_id VARCHAR)[]"""

WORK = """
 SELECT id AS _id, {'address': e, 'sha256': sha256(e)} AS personalEmail,
 {'name': {'firstName': m.FNAME, 'lastName': m.LNAME, 'fullName': concat_ws(' ', m.FNAME, m.LNAME)}, 'birthDayAndMonth': nullif(m.BIRTHDAY, '')} AS person,
 {'number': nullif(m.PHONE, '')} AS mobilePhone,
 CASE WHEN a IS NULL THEN NULL ELSE {'street1': nullif(a.addr1, ''), 'street2': nullif(a.addr2, ''), 'city': nullif(a.city, ''),
  'stateProvince': nullif(a.state, ''), 'postalCode': nullif(a.zip, ''), 'country': upper(nullif(a.country, ''))} END AS homeAddress,
 CAST(nullif(timestamp_opt, '') AS TIMESTAMP) AS optInTime, CAST(nullif(last_changed, '') AS TIMESTAMP) AS lastChanged,
 CASE status WHEN 'subscribed' THEN 'active' WHEN 'unsubscribed' THEN 'inactive' WHEN 'cleaned' THEN 'inactive' ELSE 'pending' END AS status,
 member_rating AS rating, vip, stats.avg_open_rate AS openRate, stats.avg_click_rate AS clickRate, location.latitude AS latitude,
 location.longitude AS longitude, upper(nullif(location.country_code, '')) AS countryCode, list_transform(tags, t -> t.name) AS tags,
 nullif(ip_opt, '') AS ip, list_id AS listId, email_address, coalesce(regexp_full_match(e, '[^@\\s]+@[^@\\s]+\\.[^@\\s]+'), false) AS ok
 FROM (SELECT r.*, lower(trim(r.email_address)) AS e, r.merge_fields AS m, r.merge_fields.ADDRESS AS a
       FROM (SELECT unnest(members) AS r FROM read_json(?, format = 'unstructured', columns = {members: '%s'}, maximum_object_size = 67108864)))
""" % MEMBER.replace("\n", " ")

folder = os.path.join(os.path.dirname(duckdb_extension_httpfs.__file__), "extensions", "v" + duckdb.__version__)
db = duckdb.connect(config={"threads": threads, "allow_unsigned_extensions": "true"})
db.execute(f"LOAD '{folder}/httpfs.duckdb_extension'")
urls = [f"{url}/{i}.json" for i in range(pages)]
db.execute("CREATE TEMP TABLE t AS " + WORK, [urls])
db.execute(f"COPY (SELECT * EXCLUDE (ok, email_address) FROM t WHERE ok) TO '{out}' (FORMAT parquet, COMPRESSION zstd)")
db.execute(f"COPY (SELECT _id, email_address, 'invalid e-mail' AS reason FROM t WHERE NOT ok) TO '{out}.errors.ndjson' (FORMAT json)")
os.remove(f"{out}.errors.ndjson")
print(db.execute("SELECT count(*) FROM t WHERE ok").fetchone()[0])
