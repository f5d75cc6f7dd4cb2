package rest

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// secretName matches parameter names whose values are never shown, whatever their schema says.
var secretName = regexp.MustCompile(`(?i)(secret|passw(or)?d|passphrase|credential|private_?key|signature|assertion|(tokens?|key|sig|jwt|auth|apikey|api_key|authkey|session_?id)\d*$)`)

// masker removes secrets from texts that people see: known values everywhere, and telling query parameters of URLs.
type masker struct {
	mu     sync.Mutex
	values []string
}

const masked = "***"

// add remembers a secret. Very short ones are left out: masking them would shred the text and they hide nothing.
func (m *masker) add(values ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, v := range values {
		for _, form := range []string{v, url.QueryEscape(v), url.PathEscape(v), base64.StdEncoding.EncodeToString([]byte(v))} {
			if len(v) >= 5 && !slices.Contains(m.values, form) {
				m.values = append(m.values, form)
			}
		}
	}
	slices.SortFunc(m.values, func(a, b string) int { return len(b) - len(a) })
}

// text masks the known secrets in s.
func (m *masker) text(s string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, v := range m.values {
		s = strings.ReplaceAll(s, v, masked)
	}
	return s
}

// url is an address without secrets.
func (m *masker) url(u *url.URL) string {
	c := *u
	c.User, c.Fragment = nil, ""
	if c.RawQuery != "" {
		parts := strings.Split(c.RawQuery, "&")
		for i, part := range parts {
			name, _, _ := strings.Cut(part, "=")
			if plain, err := url.QueryUnescape(name); err == nil && secretName.MatchString(plain) {
				parts[i] = name + "=" + masked
			}
		}
		c.RawQuery = strings.Join(parts, "&")
	}
	return m.text(c.String())
}

// secretsOf lists the text values of an auth params object that are secret.
func secretsOf(params map[string]json.RawMessage, secret func(name string) bool) []string {
	var out []string
	for name, raw := range params {
		if text, ok := scalarText(raw); ok && text != "" && secret(name) {
			out = append(out, text)
		}
	}
	return out
}
