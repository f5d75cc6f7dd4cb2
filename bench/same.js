// Compares two results of the benchmark row for row: counts, and rows that only one of them has. Prints one line of JSON.
// usage: TZ=UTC node same.js A.parquet B.parquet
const { DuckDBInstance } = require('@duckdb/node-api');

const [a, b] = process.argv.slice(2);
const columns = ['_id', 'personalEmail.address', 'personalEmail.sha256', 'person.name.firstName', 'person.name.lastName', 'person.name.fullName',
  'person.birthDayAndMonth', 'mobilePhone.number', 'homeAddress.street1', 'homeAddress.street2', 'homeAddress.city', 'homeAddress.stateProvince',
  'homeAddress.postalCode', 'homeAddress.country', 'homeAddress IS NULL', '_weir.optInTime::TIMESTAMP', '_weir.lastChanged::TIMESTAMP', '_weir.status',
  '_weir.rating', '_weir.vip', '_weir.openRate', '_weir.clickRate', '_weir.latitude', '_weir.longitude', '_weir.countryCode', '_weir.tags', '_weir.ip',
  '_weir.listId'].map((x, i) => `${x} AS c${i}`).join(', ');

(async () => {
  const db = await DuckDBInstance.create(':memory:');
  const c = await db.connect();
  const one = async (sql) => Number((await c.runAndReadAll(sql)).getRowsJson()[0][0]);
  const rows = (x) => `SELECT ${columns} FROM read_parquet('${x}')`;
  const count = async (sql) => one(`SELECT count(*) FROM (${sql})`);
  console.log(JSON.stringify({
    rowsA: await count(rows(a)), rowsB: await count(rows(b)),
    onlyA: await count(`${rows(a)} EXCEPT ALL ${rows(b)}`), onlyB: await count(`${rows(b)} EXCEPT ALL ${rows(a)}`),
  }));
})();
