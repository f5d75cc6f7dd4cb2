// A server of the CouchDB protocol (express-pouchdb) in memory. Prints "ready URL" when it listens; its log goes to the file named.
import http from 'node:http';
import expressPouch from 'express-pouchdb';
import PouchDB from 'pouchdb-core';
import memory from 'pouchdb-adapter-memory';
import mapreduce from 'pouchdb-mapreduce';
import replication from 'pouchdb-replication';

for (const plugin of [memory, mapreduce, replication]) PouchDB.plugin(plugin.default ?? plugin);
const app = expressPouch(PouchDB.defaults({ adapter: 'memory' }), { inMemoryConfig: true, logPath: process.argv[2] });
const server = http.createServer(app);
server.listen(0, '127.0.0.1', () => console.log(`ready http://127.0.0.1:${server.address().port}`));
