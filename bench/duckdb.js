// The work of the benchmark in DuckDB: NDJSON to nested Parquet, records with an invalid e-mail address to an NDJSON error file.
// usage: node duckdb.js IN.ndjson OUT.parquet ERRORS.ndjson THREADS
const { DuckDBInstance } = require('@duckdb/node-api');

const [input, output, errors, threads] = process.argv.slice(2);

const columns = `{
 id:'VARCHAR', email_address:'VARCHAR', status:'VARCHAR',
 merge_fields:'STRUCT(FNAME VARCHAR, LNAME VARCHAR, ADDRESS STRUCT(addr1 VARCHAR, addr2 VARCHAR, city VARCHAR, state VARCHAR, zip VARCHAR, country VARCHAR), PHONE VARCHAR, BIRTHDAY VARCHAR)',
 stats:'STRUCT(avg_open_rate DOUBLE, avg_click_rate DOUBLE)',
 ip_opt:'VARCHAR', timestamp_opt:'VARCHAR', member_rating:'INTEGER', last_changed:'VARCHAR', vip:'BOOLEAN',
 location:'STRUCT(latitude DOUBLE, longitude DOUBLE, country_code VARCHAR)',
 tags:'STRUCT(name VARCHAR)[]', list_id:'VARCHAR' }`;

const source = `(SELECT *, lower(trim(email_address)) AS e, merge_fields AS m, merge_fields.ADDRESS AS a
 FROM read_json('${input}', format='newline_delimited', columns=${columns}))`;

const valid = `coalesce(regexp_full_match(e, '[^@\\s]+@[^@\\s]+\\.[^@\\s]+'), false)`;

const row = `
 id AS _id,
 {'address': e, 'sha256': sha256(e)} AS personalEmail,
 {'name': {'firstName': m.FNAME, 'lastName': m.LNAME, 'fullName': concat_ws(' ', m.FNAME, m.LNAME)}, 'birthDayAndMonth': nullif(m.BIRTHDAY, '')} AS person,
 {'number': nullif(m.PHONE, '')} AS mobilePhone,
 CASE WHEN a IS NULL THEN NULL ELSE {'street1': nullif(a.addr1, ''), 'street2': nullif(a.addr2, ''), 'city': nullif(a.city, ''),
  'stateProvince': nullif(a.state, ''), 'postalCode': nullif(a.zip, ''), 'country': upper(nullif(a.country, ''))} END AS homeAddress,
 {'optInTime': CAST(nullif(timestamp_opt, '') AS TIMESTAMP), 'lastChanged': CAST(nullif(last_changed, '') AS TIMESTAMP),
  'status': CASE status WHEN 'subscribed' THEN 'active' WHEN 'unsubscribed' THEN 'inactive' WHEN 'cleaned' THEN 'inactive' ELSE 'pending' END,
  'rating': member_rating, 'vip': vip, 'openRate': stats.avg_open_rate, 'clickRate': stats.avg_click_rate,
  'latitude': location.latitude, 'longitude': location.longitude, 'countryCode': upper(nullif(location.country_code, '')),
  'tags': list_transform(tags, lambda t: t.name), 'ip': nullif(ip_opt, ''), 'listId': list_id} AS _weir`;

(async () => {
  const db = await DuckDBInstance.create(':memory:', { threads });
  const c = await db.connect();
  // One pass over the JSON: a temporary table, then the good rows and the others out of it.
  await c.run(`CREATE TEMP TABLE t AS SELECT ${row}, email_address, id, ${valid} AS ok FROM ${source}`);
  await c.run(`COPY (SELECT _id, personalEmail, person, mobilePhone, homeAddress, _weir FROM t WHERE ok) TO '${output}' (FORMAT parquet, COMPRESSION zstd)`);
  await c.run(`COPY (SELECT id, email_address, 'invalid e-mail' AS reason FROM t WHERE NOT ok) TO '${errors}' (FORMAT json)`);
})();
