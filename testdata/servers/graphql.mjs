// A GraphQL API (json-graphql-server) over the records of a file: node graphql.mjs DATA.json. Prints "ready URL" when it listens.
import { readFileSync } from 'node:fs';
import express from 'express';
import { jsonGraphqlExpress } from 'json-graphql-server/node';

const app = express();
app.use('/graphql', jsonGraphqlExpress(JSON.parse(readFileSync(process.argv[2], 'utf8'))));
const server = app.listen(0, '127.0.0.1', () => console.log(`ready http://127.0.0.1:${server.address().port}`));
