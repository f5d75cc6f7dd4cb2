// Package client calls the HTTP APIs of a Weir server, or of any server that speaks the same contract. The command line uses it.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Client holds an address and a tenant. It is safe for concurrent use after the fields are set.
type Client struct {
	// Base is the server's address without a slash at the end.
	Base string
	// Org, Sandbox and APIKey go into the gateway headers; Token is the bearer token ("" for open mode).
	Org, Sandbox, APIKey, Token string
	// HTTP is the transport; nil means a client with a one-minute timeout.
	HTTP *http.Client
}

// Error is an answer of 400 or more.
type Error struct {
	Method, Path string
	Status       int
	// Title and Message are what the body said; Body is all of it (at most 1 MiB).
	Title, Message string
	Body           []byte
}

func (e *Error) Error() string {
	text := e.Message
	if text == "" {
		text = e.Title
	}
	if text == "" {
		text = strings.TrimSpace(string(e.Body[:min(len(e.Body), 300)]))
	}
	return fmt.Sprintf("%s %s: %d %s", e.Method, e.Path, e.Status, text)
}

const maxAnswer = 64 << 20

// Do sends one request. body is nil, []byte (sent as is) or a value for JSON; out is nil or a pointer that receives the JSON answer.
// header entries replace the standard ones. The answer's header is returned, also with an [*Error].
func (c *Client) Do(ctx context.Context, method, path string, header http.Header, body, out any) (http.Header, error) {
	var payload io.Reader
	switch b := body.(type) {
	case nil:
	case []byte:
		payload = bytes.NewReader(b)
	default:
		raw, err := json.Marshal(b)
		if err != nil {
			return nil, fmt.Errorf("encode request: %w", err)
		}
		payload = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.Base+path, payload)
	if err != nil {
		return nil, err
	}
	c.headers(req, payload != nil)
	maps.Copy(req.Header, header)
	hc := c.HTTP
	if hc == nil {
		hc = &http.Client{Timeout: time.Minute}
	}
	res, err := hc.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return res.Header, fmt.Errorf("read answer of %s %s: %w", method, path, err)
	}
	if res.StatusCode >= 400 {
		return res.Header, failure(method, path, res.StatusCode, raw)
	}
	if out != nil && len(raw) > 0 {
		if err := json.Unmarshal(raw, out); err != nil {
			return res.Header, fmt.Errorf("read answer of %s %s: %w", method, path, err)
		}
	}
	return res.Header, nil
}

func (c *Client) headers(req *http.Request, body bool) {
	set := func(k, v string) {
		if v != "" {
			req.Header.Set(k, v)
		}
	}
	if c.Token != "" {
		set("Authorization", "Bearer "+c.Token)
	}
	set("X-Api-Key", c.APIKey)
	set("X-Gw-Ims-Org-Id", c.Org)
	set("X-Sandbox-Name", c.Sandbox)
	set("Accept", "application/json")
	if body {
		set("Content-Type", "application/json")
	}
}

func failure(method, path string, status int, raw []byte) *Error {
	var b struct {
		Title        string `json:"title"`
		ErrorMessage string `json:"errorMessage"`
		Detail       string `json:"detail"`
		Message      string `json:"message"`
		Description  string `json:"error_description"`
	}
	_ = json.Unmarshal(raw, &b) // a body that is no JSON is shown as text
	e := &Error{Method: method, Path: path, Status: status, Title: b.Title, Body: raw}
	for _, s := range []string{b.ErrorMessage, b.Detail, b.Message, b.Description} {
		if s != "" {
			e.Message = s
			break
		}
	}
	return e
}

// Login gets an access token with a client credential and keeps it.
func (c *Client) Login(ctx context.Context, id, secret string) error {
	form := url.Values{
		"grant_type": {"client_credentials"}, "client_id": {id}, "client_secret": {secret},
		"scope": {"openid,session,AdobeID,read_organizations,additional_info.projectedProductContext"},
	}
	var out struct {
		AccessToken string `json:"access_token"`
	}
	header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	if _, err := c.Do(ctx, http.MethodPost, "/ims/token/v3", header, []byte(form.Encode()), &out); err != nil {
		return err
	}
	c.Token, c.APIKey = out.AccessToken, id
	return nil
}
