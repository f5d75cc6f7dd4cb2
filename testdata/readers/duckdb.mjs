// Counts and prints the rows of Parquet files with DuckDB: node duckdb.mjs SQL. '$1' in the SQL is the list of files given after it.
// One JSON value per row goes to standard output; 64-bit integers are printed as numbers.
import { DuckDBInstance } from '@duckdb/node-api';

const [sql, ...files] = process.argv.slice(2);
const list = '[' + files.map((f) => "'" + f.replaceAll("'", "''") + "'").join(',') + ']';
const instance = await DuckDBInstance.create(':memory:', { threads: '2' });
const connection = await instance.connect();
await connection.run("SET TimeZone = 'UTC'");
const reader = await connection.runAndReadAll(`SELECT to_json(r)::VARCHAR AS row FROM (${sql.replaceAll('$1', list)}) r`);
for (const [row] of reader.getRows()) process.stdout.write(row + '\n');
connection.closeSync();
