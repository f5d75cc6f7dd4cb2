package rest

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/md5" //nolint:gosec // some sources sign with it
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // some sources sign with it
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"hash"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sigv4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/golang-jwt/jwt/v5"

	"weir"
)

// newJWT signs a token with a key: sent as it is, or handed in at accessTokenUrl for an access token (RFC 7523).
func newJWT(c *credentials) authenticator {
	a := &heldAuth{c: c, send: c.sendOr(bearer)}
	a.fetch = func(ctx context.Context, home string) (string, time.Duration, error) {
		assertion, life, err := c.assertion(home)
		if err != nil || c.text("accessTokenUrl", "tokenEndpoint") == "" {
			return assertion, life, err
		}
		c.mask.add(assertion)
		form := url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {assertion}}
		return c.grant(ctx, home, form)
	}
	return a
}

// assertion makes a signed JWT. iat and exp are set unless the claims have them.
func (c *credentials) assertion(home string) (string, time.Duration, error) {
	rules := &c.spec.Attributes.Weir
	name := rules.Algorithm
	if name == "" {
		name = "RS256"
	}
	method := jwt.GetSigningMethod(name)
	if method == nil || name == "none" {
		return "", 0, weir.Errorf("CONNECTOR-1302-400", "the JWT algorithm %q is not known", rules.Algorithm)
	}
	life := time.Duration(rules.Life) * time.Second
	if life <= 0 {
		life = 5 * time.Minute
	}
	now := c.opt.Now()
	claims := jwt.MapClaims{"iat": now.Unix(), "exp": now.Add(life).Unix()}
	e := &expander{params: &params{layers: []map[string]json.RawMessage{{"origin": quote(home)}, c.params}}}
	for n, raw := range rules.Claims {
		tree, err := parseTree(raw)
		if err != nil {
			return "", 0, weir.Errorf("CONNECTOR-1312-400", "the claim %s cannot be read: %w", n, err)
		}
		if claims[n], err = mapStrings(tree, e.value); err != nil {
			return "", 0, err
		}
	}
	kid := e.text(rules.KeyID)
	header := map[string]string{}
	for n, text := range rules.Headers {
		header[n] = e.text(text)
	}
	if err := e.err(); err != nil {
		return "", 0, err
	}
	key, err := c.signingKey(method)
	if err != nil {
		return "", 0, err
	}
	t := jwt.NewWithClaims(method, claims)
	if kid != "" {
		t.Header["kid"] = kid
	}
	for n, text := range header {
		t.Header[n] = text
	}
	signed, err := t.SignedString(key)
	if err != nil {
		return "", 0, weir.Errorf("CONNECTOR-1312-400", "the JWT cannot be signed: the key does not fit %s", name)
	}
	return signed, life - min(30*time.Second, life/10), nil
}

// secretKey is the key parameter as bytes.
func (c *credentials) secretKey() ([]byte, error) {
	rules := &c.spec.Attributes.Weir
	text := c.text(rules.Key, "privateKey", "secretKey", "authKey1")
	if text == "" {
		return nil, weir.Errorf("CONNECTOR-1304-400", "the auth parameters have no key")
	}
	if !rules.KeyBase64 {
		return []byte(text), nil
	}
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, weir.Errorf("CONNECTOR-1312-400", "the key is not base64")
	}
	return key, nil
}

func (c *credentials) signingKey(method jwt.SigningMethod) (key any, err error) {
	raw, err := c.secretKey()
	if err != nil {
		return nil, err
	}
	raw = bytes.ReplaceAll(raw, []byte(`\n`), []byte("\n")) // a PEM that went through JSON twice
	switch method.Alg()[:2] {
	case "HS":
		return raw, nil
	case "ES":
		key, err = jwt.ParseECPrivateKeyFromPEM(raw)
	case "Ed":
		key, err = jwt.ParseEdPrivateKeyFromPEM(raw)
	default:
		key, err = jwt.ParseRSAPrivateKeyFromPEM(raw)
	}
	if err != nil {
		return nil, weir.Errorf("CONNECTOR-1312-400", "the key is not a PEM private key for %s", method.Alg())
	}
	return key, nil
}

// hmacAuth signs each request with a shared secret.
type hmacAuth struct{ c *credentials }

func (hmacAuth) apply(context.Context, *request) error { return nil }

func (hmacAuth) renew(context.Context, *http.Request) (bool, error) { return false, nil }

// hashes are the algorithms of HMACSignature.
var hashes = map[string]func() hash.Hash{"": sha256.New, "sha256": sha256.New, "sha1": sha1.New, "sha512": sha512.New, "md5": md5.New}

func (a hmacAuth) sign(_ context.Context, req *http.Request, body []byte) error {
	rules := &a.c.spec.Attributes.Weir
	key, err := a.c.secretKey()
	if err != nil {
		return err
	}
	newHash := hashes[strings.ToLower(strings.TrimPrefix(strings.ToLower(rules.Algorithm), "hmac-"))]
	if newHash == nil {
		return weir.Errorf("CONNECTOR-1302-400", "the HMAC algorithm %q is not known", rules.Algorithm)
	}
	nonce := make([]byte, 16)
	_, _ = rand.Read(nonce) // never fails (crypto/rand)
	sum256, sum5 := sha256.Sum256(body), md5.Sum(body)
	path := req.URL.EscapedPath()
	if path == "" {
		path = "/"
	}
	facts := map[string]json.RawMessage{}
	for name, text := range map[string]string{
		"method": req.Method, "path": path, "query": req.URL.RawQuery, "host": req.URL.Host, "url": req.URL.String(),
		"timestamp": formatTime(a.c.opt.Now(), or(rules.Timestamp, "epoch")), "nonce": hex.EncodeToString(nonce), "body": string(body),
		"bodySha256": hex.EncodeToString(sum256[:]), "bodyMd5": base64.StdEncoding.EncodeToString(sum5[:]),
	} {
		facts[name] = quote(text)
		if text == "" {
			facts[name] = json.RawMessage(`""`)
		}
	}
	e := &expander{params: &params{layers: []map[string]json.RawMessage{facts, a.c.params}}, blanks: true}
	text := e.text(or(rules.Sign, "${method}\n${path}\n${query}\n${timestamp}\n${body}"))
	mac := hmac.New(newHash, key)
	mac.Write([]byte(text))
	facts["signature"] = quote(encodeSum(mac.Sum(nil), rules.Encoding))
	headers := rules.Headers
	if len(headers) == 0 {
		headers = map[string]string{"X-Signature": "${signature}", "X-Timestamp": "${timestamp}"}
	}
	for name, value := range headers {
		req.Header.Set(name, e.text(value))
	}
	return e.err()
}

func or(s, d string) string {
	if s == "" {
		return d
	}
	return s
}

func encodeSum(sum []byte, encoding string) string {
	switch encoding {
	case "base64":
		return base64.StdEncoding.EncodeToString(sum)
	case "base64url":
		return base64.RawURLEncoding.EncodeToString(sum)
	}
	return hex.EncodeToString(sum)
}

// sigv4Auth signs each request for AWS and what speaks like it.
type sigv4Auth struct{ c *credentials }

func (sigv4Auth) apply(context.Context, *request) error { return nil }

func (sigv4Auth) renew(context.Context, *http.Request) (bool, error) { return false, nil }

func (a sigv4Auth) sign(ctx context.Context, req *http.Request, body []byte) error {
	rules := &a.c.spec.Attributes.Weir
	region := or(a.c.text("region"), or(rules.Region, "us-east-1"))
	service := or(a.c.text("service"), rules.Service)
	creds := aws.Credentials{AccessKeyID: a.c.text("accessKeyId", "accessKey"), SecretAccessKey: a.c.text("secretAccessKey", "secretKey"), SessionToken: a.c.text("sessionToken")}
	if service == "" || creds.AccessKeyID == "" || creds.SecretAccessKey == "" {
		return weir.Errorf("CONNECTOR-1304-400", "the signature needs service, accessKeyId and secretAccessKey")
	}
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	req.Header.Set("X-Amz-Content-Sha256", hash)
	signer := sigv4.NewSigner()
	if strings.HasPrefix(service, "s3") {
		req.URL.RawPath = s3Path(req.URL.Path)
		signer = sigv4.NewSigner(func(o *sigv4.SignerOptions) { o.DisableURIPathEscaping = true })
	}
	if err := signer.SignHTTP(ctx, creds, req, hash, service, region, a.c.opt.Now()); err != nil {
		return weir.Errorf("CONNECTOR-1308-400", "the request cannot be signed: %w", err)
	}
	return nil
}

// s3Path encodes a decoded path as S3 signs it. Unlike other services S3 encodes paths once, and a slash stays a slash even where a key that
// holds it was put in for a placeholder.
func s3Path(path string) string {
	const hexDigits = "0123456789ABCDEF"
	out := make([]byte, 0, len(path))
	for _, c := range []byte(path) {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~/", c) >= 0 {
			out = append(out, c)
			continue
		}
		out = append(out, '%', hexDigits[c>>4], hexDigits[c&15])
	}
	return string(out)
}
