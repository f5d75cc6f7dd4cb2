package api

import (
	"context"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"weir"
	"weir/store"
)

// tokenLife is how long an access token is good for (flow-service §1.4: about a day, as clients print it).
const tokenLife = 86399 * time.Second

// The token key of the installation is one sealed document, shared by all processes.
const (
	kindKey  = "keys"
	tokenKey = "tokens"
)

// claims are what an access token says. Clients read nothing of it.
type claims struct {
	jwt.RegisteredClaims
	Client string `json:"client_id"`
	Org    string `json:"org"`
}

// clientBody is the body of an API client's document; its id is the API key.
type clientBody struct {
	Org  string `json:"org"`
	User string `json:"user"`
	Name string `json:"name"`
}

// clientSecret is a client's secret, hashed, then sealed by the store.
type clientSecret struct {
	Salt   []byte `json:"salt"`
	Hash   []byte `json:"hash"`
	Rounds int    `json:"rounds"`
}

// secretRounds of PBKDF2 keep a secret that a human chose from being guessed fast, should the database and its key be stolen.
const secretRounds = 60_000

func newSecret(text string) clientSecret {
	s := clientSecret{Salt: make([]byte, 16), Rounds: secretRounds}
	_, _ = rand.Read(s.Salt) // never fails (crypto/rand)
	s.Hash, _ = pbkdf2.Key(sha256.New, text, s.Salt, s.Rounds, sha256.Size)
	return s
}

// matches compares in constant time. The zero value matches nothing, after the same work.
func (s clientSecret) matches(text string) bool {
	known := len(s.Hash) == sha256.Size
	if !known {
		s = clientSecret{Salt: make([]byte, 16), Hash: make([]byte, sha256.Size), Rounds: secretRounds}
	}
	got, err := pbkdf2.Key(sha256.New, text, s.Salt, s.Rounds, sha256.Size)
	return err == nil && subtle.ConstantTimeCompare(got, s.Hash) == 1 && known
}

// findClient reads a client and its secret; an unknown client has the zero secret.
func findClient(tx *store.Tx, id string) (*weir.Doc, clientSecret, error) {
	var secret clientSecret
	d, err := tx.Get(weir.KindClient, weir.Scope{}, id)
	if errors.Is(err, weir.ErrNotFound) {
		return nil, secret, nil
	}
	if err != nil {
		return nil, secret, err
	}
	raw, err := tx.Reveal(d)
	if err != nil {
		return nil, secret, err
	}
	if len(raw) > 0 {
		err = json.Unmarshal(raw, &secret)
	}
	return d, secret, err
}

// loadKey reads the token key of the installation, making it on the first call.
func loadKey(ctx context.Context, st *store.Store) ([]byte, error) {
	var key struct {
		Key []byte `json:"key"`
	}
	err := st.Tx(ctx, func(tx *store.Tx) error {
		d, err := tx.Get(kindKey, weir.Scope{}, tokenKey)
		if errors.Is(err, weir.ErrNotFound) {
			key.Key = make([]byte, 32)
			_, _ = rand.Read(key.Key) // never fails (crypto/rand)
			return tx.Insert(&weir.Doc{Kind: kindKey, ID: tokenKey, Body: json.RawMessage(`{}`), Secret: encode(key)}, weir.Actor{})
		}
		if err != nil {
			return err
		}
		raw, err := tx.Reveal(d)
		if err != nil {
			return err
		}
		return json.Unmarshal(raw, &key)
	})
	if err != nil {
		return nil, fmt.Errorf("token key: %w", err)
	}
	if len(key.Key) < 32 {
		return nil, errors.New("token key: too short")
	}
	return key.Key, nil
}

// signingKey is the token key, read once for each server.
func (s *Server) signingKey(ctx context.Context) ([]byte, error) {
	if k := s.key.Load(); k != nil {
		return *k, nil
	}
	k, err := loadKey(ctx, s.Store)
	if err != nil {
		return nil, err
	}
	s.key.Store(&k)
	return k, nil
}

// sign makes an access token for a client.
func (s *Server) sign(ctx context.Context, client *weir.Doc) (string, error) {
	key, err := s.signingKey(ctx)
	if err != nil {
		return "", err
	}
	return sign(key, client, s.Now())
}

func sign(key []byte, client *weir.Doc, now time.Time) (string, error) {
	var body clientBody
	if err := client.Read(&body); err != nil {
		return "", err
	}
	return jwt.NewWithClaims(jwt.SigningMethodHS256, claims{
		RegisteredClaims: jwt.RegisteredClaims{
			ID: weir.NewUUID(), Issuer: "weir", Subject: body.User,
			IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(tokenLife)),
		},
		Client: client.ID, Org: body.Org,
	}).SignedString(key)
}

// verify checks a token's signature, algorithm and life. Whether its client still exists is checked with the API key.
func (s *Server) verify(ctx context.Context, token string) (claims, error) {
	var out claims
	key, err := s.signingKey(ctx)
	if err != nil {
		return out, err
	}
	_, err = jwt.ParseWithClaims(token, &out, func(*jwt.Token) (any, error) { return key, nil },
		jwt.WithValidMethods([]string{"HS256"}), jwt.WithExpirationRequired(), jwt.WithIssuer("weir"), jwt.WithTimeFunc(s.Now))
	if err != nil {
		return claims{}, err
	}
	return out, nil
}

// Credentials are what a program needs to call the APIs.
type Credentials struct {
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret,omitempty"`
	OrgID        string `json:"org_id"`
	Sandbox      string `json:"sandbox"`
}

// BootstrapConfig names the first client and organisation; empty members are generated.
type BootstrapConfig struct {
	ClientID, ClientSecret, OrgID string
}

// Bootstrap makes sure that there is an organisation with the sandbox prod and a client for it. On an empty store it creates both
// and returns the credentials with created true. On a store in use it returns the first client without its secret, unless the
// configuration names a client: then that client exists afterwards, with that secret.
func Bootstrap(ctx context.Context, st *store.Store, cfg BootstrapConfig) (cred Credentials, created bool, err error) {
	if cfg.OrgID != "" && !orgID.MatchString(cfg.OrgID) {
		return cred, false, fmt.Errorf("organisation id %q: 24 hex digits and @AdobeOrg expected", cfg.OrgID)
	}
	err = st.Tx(ctx, func(tx *store.Tx) (err error) {
		cred, created, err = bootstrap(tx, cfg)
		return err
	})
	return cred, created, err
}

func bootstrap(tx *store.Tx, cfg BootstrapConfig) (Credentials, bool, error) {
	org, err := firstOrg(tx, cfg.OrgID)
	if err != nil {
		return Credentials{}, false, err
	}
	if org == "" {
		if org, err = createOrg(tx, cfg.OrgID, "weir"); err != nil {
			return Credentials{}, false, err
		}
	} else if cfg.ClientID == "" {
		clients, _, err := tx.Find(store.Query{Kind: weir.KindClient, Scopes: []weir.Scope{{}}})
		if err != nil {
			return Credentials{}, false, err
		}
		for _, d := range clients {
			var body clientBody
			if err := d.Read(&body); err != nil {
				return Credentials{}, false, err
			}
			if body.Org == org {
				return Credentials{ClientID: d.ID, OrgID: org, Sandbox: defaultSandbox}, false, nil
			}
		}
	}
	return ensureClient(tx, org, cfg)
}

// ensureClient creates the configured client, or brings the secret of the existing one in line with the configuration.
func ensureClient(tx *store.Tx, org string, cfg BootstrapConfig) (Credentials, bool, error) {
	if cfg.ClientID != "" {
		d, secret, err := findClient(tx, cfg.ClientID)
		if err != nil {
			return Credentials{}, false, err
		}
		if d != nil {
			var body clientBody
			if err := d.Read(&body); err != nil {
				return Credentials{}, false, err
			}
			if cfg.ClientSecret != "" && !secret.matches(cfg.ClientSecret) {
				d.Secret = encode(newSecret(cfg.ClientSecret))
				if err := tx.Update(d, weir.Actor{}); err != nil {
					return Credentials{}, false, err
				}
			}
			return Credentials{ClientID: d.ID, ClientSecret: cfg.ClientSecret, OrgID: body.Org, Sandbox: defaultSandbox}, false, nil
		}
	}
	cred, err := createClient(tx, org, cfg.ClientID, cfg.ClientSecret)
	return cred, err == nil, err
}

// CreateOrg adds an organisation of that name with the sandbox prod and a client, whose secret is returned this one time.
func CreateOrg(ctx context.Context, st *store.Store, name string) (Credentials, error) {
	var cred Credentials
	err := st.Tx(ctx, func(tx *store.Tx) error {
		org, err := createOrg(tx, "", name)
		if err != nil {
			return err
		}
		cred, err = createClient(tx, org, "", "")
		return err
	})
	return cred, err
}

// IssueToken makes an access token for a client without asking for its secret; it is for whoever can open the store.
func IssueToken(ctx context.Context, st *store.Store, clientID string) (string, error) {
	key, err := loadKey(ctx, st)
	if err != nil {
		return "", err
	}
	var client *weir.Doc
	err = st.View(ctx, func(tx *store.Tx) (err error) {
		client, err = tx.Get(weir.KindClient, weir.Scope{}, clientID)
		return err
	})
	if errors.Is(err, weir.ErrNotFound) {
		return "", fmt.Errorf("there is no client %q", clientID)
	}
	if err != nil {
		return "", err
	}
	return sign(key, client, time.Now())
}

var (
	orgID      = regexp.MustCompile(`^[0-9A-Fa-f]{24}@AdobeOrg$`)
	notTenant  = regexp.MustCompile(`[^a-z0-9]+`)
	tenantText = regexp.MustCompile(`^[a-z][a-z0-9]*$`)
)

// orgBody is the body of an organisation's document; its id is the organisation id.
type orgBody struct {
	Name   string `json:"name"`
	Tenant string `json:"tenantId"`
}

// tenantOf is the TENANT_ID of an organisation (schema-catalog-data §1.1), without an underscore.
func tenantOf(tx *store.Tx, org string) (string, error) {
	d, err := tx.Get(weir.KindOrg, weir.Scope{}, org)
	if err != nil {
		return "", fmt.Errorf("organisation %s: %w", org, err)
	}
	var body orgBody
	err = d.Read(&body)
	return body.Tenant, err
}

// firstOrg is the wanted organisation if it exists, else the oldest one if none is wanted, else "".
func firstOrg(tx *store.Tx, want string) (string, error) {
	if want != "" {
		_, err := tx.Get(weir.KindOrg, weir.Scope{}, want)
		if errors.Is(err, weir.ErrNotFound) {
			return "", nil
		}
		return want, err
	}
	orgs, err := allOrgs(tx)
	if err != nil || len(orgs) == 0 {
		return "", err
	}
	first := orgs[0]
	for _, d := range orgs {
		if d.CreatedAt < first.CreatedAt {
			first = d
		}
	}
	return first.ID, nil
}

func allOrgs(tx *store.Tx) ([]*weir.Doc, error) {
	docs, _, err := tx.Find(store.Query{Kind: weir.KindOrg, Scopes: []weir.Scope{{}}})
	return docs, err
}

// createOrg inserts an organisation with a tenant name of its own and the sandbox prod.
func createOrg(tx *store.Tx, id, name string) (string, error) {
	if id == "" {
		id = weir.NewOrgID()
	}
	orgs, err := allOrgs(tx)
	if err != nil {
		return "", err
	}
	taken := map[string]bool{}
	for _, d := range orgs {
		var body orgBody
		if err := d.Read(&body); err != nil {
			return "", err
		}
		taken[body.Tenant] = true
	}
	tenant := notTenant.ReplaceAllString(strings.ToLower(name), "")
	if !tenantText.MatchString(tenant) {
		tenant = "t" + tenant
	}
	for base, n := tenant, 2; taken[tenant]; n++ {
		tenant = base + strconv.Itoa(n)
	}
	d := &weir.Doc{Kind: weir.KindOrg, ID: id, Body: encode(orgBody{Name: name, Tenant: tenant})}
	if err := tx.Insert(d, weir.Actor{}); err != nil {
		return "", fmt.Errorf("organisation %s: %w", id, err)
	}
	return id, insertSandbox(tx, id, sandboxBody{
		Name: defaultSandbox, Title: "Prod", Type: "production", IsDefault: true, State: sandboxActive,
	}, weir.Actor{})
}

// createClient inserts a client of an organisation; empty id and secret are generated.
func createClient(tx *store.Tx, org, id, secret string) (Credentials, error) {
	if id == "" {
		id = weir.NewHex(16)
	}
	if secret == "" {
		secret = "p8-" + weir.NewHex(24)
	}
	d := &weir.Doc{
		Kind: weir.KindClient, ID: id, Secret: encode(newSecret(secret)),
		Body: encode(clientBody{Org: org, Name: id, User: strings.ToUpper(weir.NewHex(12)) + "@techacct"}),
	}
	if err := tx.Insert(d, weir.Actor{}); err != nil {
		return Credentials{}, fmt.Errorf("client %s: %w", id, err)
	}
	return Credentials{ClientID: id, ClientSecret: secret, OrgID: org, Sandbox: defaultSandbox}, nil
}
