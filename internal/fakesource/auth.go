package fakesource

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// grant makes a token good for the scenario's lifetime.
func (srv *Server) grant(token string) {
	until := time.Time{}
	if srv.s.Auth.Life > 0 {
		until = srv.s.Now().Add(time.Duration(srv.s.Auth.Life) * time.Second)
	}
	srv.access[token] = until
}

// Revoke makes every access token so far invalid.
func (srv *Server) Revoke() {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	clear(srv.access)
}

func (srv *Server) good(token string) bool {
	until, ok := srv.access[token]
	return ok && (until.IsZero() || srv.s.Now().Before(until))
}

// allowed checks the credentials and refuses the request if they are wrong.
func (srv *Server) allowed(w http.ResponseWriter, r *http.Request, body []byte) bool {
	a := &srv.s.Auth
	ok := true
	switch a.Type {
	case "", "none":
	case "bearer", "oauth":
		h := r.Header.Get("Authorization")
		ok = len(h) > 7 && h[:7] == "Bearer " && srv.good(h[7:])
	case "session":
		ok = srv.good(r.Header.Get("Authorization"))
	case "basic":
		user, password, has := r.BasicAuth()
		ok = has && user == a.User && password == a.Password
	case "header":
		ok = r.Header.Get(a.Name) == a.Value
	case "query":
		ok = r.URL.Query().Get(a.Name) == a.Value
	case "cookie":
		c, err := r.Cookie(a.Name)
		ok = err == nil && c.Value == a.Value
	case "body":
		var m map[string]any
		ok = json.Unmarshal(body, &m) == nil && m[a.Name] == a.Value
	}
	if ok {
		return true
	}
	if a.Quiet {
		empty := srv.s
		empty.Data, empty.Records = []json.RawMessage{}, 0
		writeJSON(w, http.StatusOK, json.RawMessage(empty.renderJSON(nil, nil)))
		return false
	}
	writeJSON(w, http.StatusUnauthorized, map[string]string{"message": "the credentials are not valid"})
	return false
}

func (srv *Server) field(name string) string { return or(srv.s.Auth.Fields[name], name) }

// token is the OAuth token endpoint: refresh_token (single use), client_credentials and password grants.
func (srv *Server) token(w http.ResponseWriter, r *http.Request, body []byte) {
	form := r.URL.Query()
	if r.Method == http.MethodPost {
		form, _ = url.ParseQuery(string(body))
	}
	a := &srv.s.Auth
	user, password, basic := r.BasicAuth()
	if !basic {
		user, password = form.Get(srv.field("client_id")), form.Get(srv.field("client_secret"))
	}
	refuse := func(code string) {
		writeJSON(w, http.StatusBadRequest, map[string]string{"error": code, "error_description": "refused: " + code})
	}
	if a.User != "" && (user != a.User || password != a.Password) {
		refuse("invalid_client")
		return
	}
	answer := map[string]any{"token_type": "bearer"}
	switch form.Get("grant_type") {
	case "refresh_token":
		if srv.refresh == "" || form.Get("refresh_token") != srv.refresh {
			refuse("invalid_grant")
			return
		}
		srv.refresh = fmt.Sprintf("refresh-token-%d", srv.issued+1)
		answer[srv.field("refresh_token")] = srv.refresh
	case "client_credentials", "password", "urn:ietf:params:oauth:grant-type:jwt-bearer":
	default:
		refuse("unsupported_grant_type")
		return
	}
	srv.issued++
	token := fmt.Sprintf("access-token-%d", srv.issued)
	srv.grant(token)
	answer[srv.field("access_token")] = token
	if a.Life > 0 {
		answer[srv.field("expires_in")] = a.Life
	}
	writeJSON(w, http.StatusOK, answer)
}

// login is a session endpoint: {"username","password"} → {"data":{"session":{"token":…}}}.
func (srv *Server) login(w http.ResponseWriter, body []byte) {
	var in struct{ Username, Password string }
	if json.Unmarshal(body, &in) != nil || in.Username != srv.s.Auth.User || in.Password != srv.s.Auth.Password {
		writeJSON(w, http.StatusForbidden, map[string]string{"message": "login failed"})
		return
	}
	srv.issued++
	token := fmt.Sprintf("session-token-%d", srv.issued)
	srv.grant(token)
	writeJSON(w, http.StatusOK, map[string]any{"data": map[string]any{"session": map[string]any{"token": token, "ttl": srv.s.Auth.Life}}})
}
