// An OpenID provider (oidc-provider) and, behind it, an API (json-server) that asks the provider about every token it is shown.
//   node guarded.mjs DATA.json LIFE REDIRECT
// LIFE is the life of access tokens in seconds, REDIRECT where people come back to after a consent. Prints "ready PROVIDER API" when
// both listen, then one line per token: "token KIND" when it is made, "refused" when the API turns a token away.
import http from 'node:http';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import Provider from 'oidc-provider';

const jsonServer = createRequire(import.meta.url)('json-server');
const [data, life, redirect] = process.argv.slice(2);
const listen = async (server) => {
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return `http://127.0.0.1:${server.address().port}`;
};

const issuerServer = http.createServer((req, res) => issue(req, res));
const issuer = await listen(issuerServer);
const provider = new Provider(issuer, {
  clients: [
    { client_id: 'machine', client_secret: 'machine-secret', grant_types: ['client_credentials'], redirect_uris: [], response_types: [], token_endpoint_auth_method: 'client_secret_post' },
    { client_id: 'machine-basic', client_secret: 'basic secret/+%', grant_types: ['client_credentials'], redirect_uris: [], response_types: [], token_endpoint_auth_method: 'client_secret_basic' },
    { client_id: 'app', client_secret: 'app-secret', grant_types: ['authorization_code', 'refresh_token'], redirect_uris: [redirect], response_types: ['code'], token_endpoint_auth_method: 'client_secret_post' },
    { client_id: 'api', client_secret: 'api-secret', grant_types: [], redirect_uris: [], response_types: [], token_endpoint_auth_method: 'client_secret_basic' },
  ],
  scopes: ['openid', 'offline_access', 'things:read'],
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  features: { clientCredentials: { enabled: true }, introspection: { enabled: true, allowedPolicy: () => true } },
  ttl: { ClientCredentials: Number(life), AccessToken: Number(life), RefreshToken: 3600, Grant: 3600, Session: 3600, Interaction: 600, IdToken: 600 },
  rotateRefreshToken: true, // a refresh token works once; its reuse ends the whole grant
  pkce: { required: () => true },
  cookies: { keys: ['only for tests'] },
  jwks: undefined,
});
for (const kind of ['client_credentials', 'access_token', 'refresh_token']) provider.on(`${kind}.saved`, () => console.log(`token ${kind}`));
provider.on('grant.revoked', () => console.log('token grant_revoked'));
provider.on('server_error', (_, err) => console.error(err));
const issue = provider.callback();

// introspect asks the provider over HTTP, as a resource server does (RFC 7662).
const introspect = async (token) => {
  const answer = await fetch(`${issuer}/token/introspection`, {
    method: 'POST',
    headers: { authorization: `Basic ${Buffer.from('api:api-secret').toString('base64')}` },
    body: new URLSearchParams({ token }),
  });
  return answer.ok && (await answer.json()).active === true;
};

const api = jsonServer.create();
api.use(async (req, res, next) => {
  const [kind, token] = (req.headers.authorization ?? '').split(' ');
  if (kind === 'Bearer' && token && (await introspect(token))) return next();
  console.log('refused');
  res.status(401).set('WWW-Authenticate', 'Bearer error="invalid_token"').json({ error: 'invalid_token' });
});
api.use(jsonServer.router(JSON.parse(readFileSync(data, 'utf8'))));
console.log(`ready ${issuer} ${await listen(http.createServer(api))}`);
