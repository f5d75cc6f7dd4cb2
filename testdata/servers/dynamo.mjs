// A server of the DynamoDB protocol (dynalite) in memory. Prints "ready URL" when it listens.
import dynalite from 'dynalite';

const server = dynalite({ createTableMs: 0 });
server.listen(0, '127.0.0.1', () => console.log(`ready http://127.0.0.1:${server.address().port}`));
