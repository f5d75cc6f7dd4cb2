package api

import (
	"maps"
	"net/http"
	"net/url"
	"strings"

	"weir"
	"weir/store"
)

// The token endpoints as clients call them (flow-service §1.4): parameters in the query, a urlencoded form or a multipart form, alone or
// mixed. The client secret is the only proof asked for; authorization codes and JWTs of the older flows must be there and are not read.
var imsRoutes = []route{
	{"POST", "/token/v1", issueToken, access{open: true, limit: maxForm}},
	{"POST", "/token/v2", issueToken, access{open: true, limit: maxForm}},
	{"POST", "/token/v3", issueToken, access{open: true, limit: maxForm}},
	{"POST", "/exchange/jwt", exchangeJWT, access{open: true, limit: maxForm}},
}

// maxForm is the largest token request in bytes.
const maxForm = 64 << 10

// proofs name what each grant must bring beside the client's credentials.
var proofs = map[string]string{"client_credentials": "", "authorization_code": "code"}

// issueToken is POST /ims/token/v1, v2 and v3; expires_in is in seconds (R21).
func issueToken(c *call) (reply, error) {
	form, err := c.form()
	if err != nil {
		return reply{}, err
	}
	grant := form.Get("grant_type")
	proof, known := proofs[grant]
	if !known {
		return reply{}, weir.Errorf("IMS-unsupported_grant_type-400", "grant_type %q is not supported. Use client_credentials or authorization_code.", grant)
	}
	if proof != "" && form.Get(proof) == "" {
		return reply{}, weir.Errorf("IMS-invalid_request-400", "The parameter %s is missing.", proof)
	}
	return c.tokenFor(form, 1)
}

// exchangeJWT is POST /ims/exchange/jwt; expires_in is in milliseconds (R21).
func exchangeJWT(c *call) (reply, error) {
	form, err := c.form()
	if err != nil {
		return reply{}, err
	}
	if form.Get("jwt_token") == "" {
		return reply{}, weir.Errorf("IMS-invalid_request-400", "The parameter jwt_token is missing.")
	}
	return c.tokenFor(form, 1000)
}

// tokenFor checks the client's credentials and answers with a token. Unknown clients and wrong secrets look the same.
func (c *call) tokenFor(form url.Values, unit int64) (reply, error) {
	id, secret := form.Get("client_id"), form.Get("client_secret")
	if id == "" || secret == "" {
		return reply{}, weir.Errorf("IMS-invalid_request-400", "The parameters client_id and client_secret are needed.")
	}
	var client *weir.Doc
	var stored clientSecret
	err := c.view(func(tx *store.Tx) (err error) {
		client, stored, err = findClient(tx, id)
		return err
	})
	if err != nil {
		return reply{}, err
	}
	if !stored.matches(secret) {
		return reply{}, weir.Errorf("IMS-invalid_client-401", "The client id or its secret is wrong.")
	}
	token, err := c.server.sign(c.ctx(), client)
	if err != nil {
		return reply{}, err
	}
	return ok(object{}.set("access_token", token).set("token_type", "bearer").set("expires_in", int64(tokenLife.Seconds())*unit)).
		with("Cache-Control", "no-store"), nil
}

// form is query and body parameters together; the body wins.
func (c *call) form() (url.Values, error) {
	out := url.Values{}
	maps.Copy(out, c.values())
	c.req.Body = c.stream()
	var err error
	if strings.HasPrefix(strings.ToLower(c.req.Header.Get("Content-Type")), "multipart/") {
		err = c.req.ParseMultipartForm(maxForm)
	} else {
		err = c.req.ParseForm()
	}
	if err != nil && c.req.Body != http.NoBody {
		return nil, &weir.Error{Code: "IMS-invalid_request-400", Message: "The form in the body could not be read.", Err: err}
	}
	maps.Copy(out, c.req.PostForm)
	return out, nil
}
